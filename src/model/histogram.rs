//! A histogram of durations in log-linear buckets: every power of two from 64 µs is cut into eight
//! equal parts, so that a quantile read from it is at most one eighth off.

/// Number of buckets. The last one takes everything from about 2 minutes up.
pub const BUCKETS: usize = 8 * (OCTAVES + 1);

/// Octaves above the first linear stretch of 0 to 64 µs.
const OCTAVES: usize = 21;
/// Parts of an octave.
const PARTS: u64 = 8;
/// The first stretch, [0, 64) µs, is cut into eight parts of 8 µs.
const FIRST_US: u64 = 64;

/// The bucket that holds a duration in microseconds.
pub fn bucket_of_us(us: u64) -> usize {
    if us < FIRST_US {
        return (us / (FIRST_US / PARTS)) as usize;
    }
    let octave = u64::from(us.ilog2() - FIRST_US.ilog2());
    let part = (us >> (us.ilog2() - PARTS.ilog2())) & (PARTS - 1);
    (((octave + 1) * PARTS + part) as usize).min(BUCKETS - 1)
}

/// The first microsecond above a bucket.
pub fn bucket_upper_us(bucket: usize) -> u64 {
    let (octave, part) = (bucket as u64 / PARTS, bucket as u64 % PARTS);
    match octave {
        0 => (part + 1) * (FIRST_US / PARTS),
        _ => (FIRST_US << (octave - 1)) + (part + 1) * ((FIRST_US << (octave - 1)) / PARTS),
    }
}

/// Counts of durations by bucket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Histogram {
    /// One count for each bucket.
    pub counts: [u64; BUCKETS],
    /// Sum of all durations in microseconds.
    pub sum_us: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: [0; BUCKETS], sum_us: 0 }
    }
}

impl Histogram {
    /// Adds one duration.
    pub fn record_us(&mut self, us: u64) {
        self.counts[bucket_of_us(us)] += 1;
        self.sum_us += us;
    }

    /// What came since `earlier`. Counts only grow; a smaller one counts as zero.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            counts: std::array::from_fn(|at| self.counts[at].saturating_sub(earlier.counts[at])),
            sum_us: self.sum_us.saturating_sub(earlier.sum_us),
        }
    }

    /// Number of durations.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Upper end in microseconds of the bucket that holds the `q`-quantile (0 to 1); `None` if empty.
    pub fn quantile_us(&self, q: f64) -> Option<u64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = ((count as f64 * q).ceil() as u64).clamp(1, count);
        let mut seen = 0;
        for (bucket, n) in self.counts.iter().enumerate() {
            seen += n;
            if seen >= rank {
                return Some(bucket_upper_us(bucket));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_contiguous_and_an_eighth_wide() {
        for bucket in 0..BUCKETS - 1 {
            let end = bucket_upper_us(bucket);
            assert_eq!(bucket_of_us(end - 1), bucket, "below {end}");
            assert_eq!(bucket_of_us(end), bucket + 1, "at {end}");
        }
        assert_eq!(bucket_of_us(u64::MAX), BUCKETS - 1);
        assert!(bucket_upper_us(BUCKETS - 1) > 120_000_000);
    }

    #[test]
    fn quantiles() {
        let mut it = Histogram::default();
        assert_eq!(it.quantile_us(0.5), None);
        (1..=1000).for_each(|ms| it.record_us(ms * 1000));
        let p50 = it.quantile_us(0.5).unwrap();
        assert!((500_000..570_000).contains(&p50), "{p50}");
    }
}
