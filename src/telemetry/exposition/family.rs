//! Metric families, made with few words.

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram as HistogramValue, LabelPair, Metric, MetricFamily, MetricType,
};

use crate::model::{BUCKETS, Histogram, bucket_upper_us};

/// Labels of one series.
pub(super) type Labels<'a> = &'a [(&'static str, &'a str)];

/// A family that is being filled.
pub(super) struct Family {
    made: MetricFamily,
    kind: MetricType,
}

impl Family {
    pub(super) fn counter(name: &str, help: &str) -> Self {
        Self::new(name, help, MetricType::COUNTER)
    }

    pub(super) fn gauge(name: &str, help: &str) -> Self {
        Self::new(name, help, MetricType::GAUGE)
    }

    pub(super) fn histogram(name: &str, help: &str) -> Self {
        Self::new(name, help, MetricType::HISTOGRAM)
    }

    fn new(name: &str, help: &str, kind: MetricType) -> Self {
        let mut made = MetricFamily::default();
        made.set_name(name.to_owned());
        made.set_help(help.to_owned());
        made.set_field_type(kind);
        Self { made, kind }
    }

    /// Adds a series of a counter or a gauge.
    pub(super) fn add(&mut self, labels: Labels<'_>, value: f64) {
        let mut metric = with_labels(labels);
        if self.kind == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        self.made.mut_metric().push(metric);
    }

    /// Adds a series of a histogram of durations, cut at `bounds_us`.
    pub(super) fn add_durations(&mut self, labels: Labels<'_>, of: &Histogram, bounds_us: &[u64]) {
        let cumulative = folded(of, bounds_us);
        let bounds = bounds_us.iter().map(|it| seconds(*it));
        self.add_buckets(labels, bounds.zip(cumulative), of.count(), seconds(of.sum_us));
    }

    /// Adds a series of a histogram from its cumulative buckets.
    pub(super) fn add_buckets(
        &mut self,
        labels: Labels<'_>,
        buckets: impl Iterator<Item = (f64, u64)>,
        count: u64,
        sum: f64,
    ) {
        let bucket = |(upper, cumulative)| {
            let mut it = Bucket::default();
            it.set_upper_bound(upper);
            it.set_cumulative_count(cumulative);
            it
        };
        let mut value = HistogramValue::default();
        value.set_bucket(buckets.map(bucket).collect());
        value.set_sample_count(count);
        value.set_sample_sum(sum);
        let mut metric = with_labels(labels);
        metric.set_histogram(value);
        self.made.mut_metric().push(metric);
    }

    /// Adds one series and closes the family.
    pub(super) fn only(mut self, value: f64) -> MetricFamily {
        self.add(&[], value);
        self.made
    }

    pub(super) fn done(self) -> MetricFamily {
        self.made
    }
}

fn with_labels(labels: Labels<'_>) -> Metric {
    let pair = |(name, value): &(&str, &str)| {
        let mut it = LabelPair::default();
        it.set_name((*name).to_owned());
        it.set_value((*value).to_owned());
        it
    };
    Metric::from_label(labels.iter().map(pair).collect())
}

/// Microseconds as seconds.
pub(super) fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

/// How many durations lie below each bound. Bounds are ends of our buckets, so nothing is split.
fn folded(of: &Histogram, bounds_us: &[u64]) -> Vec<u64> {
    let (mut bucket, mut below) = (0, 0);
    let up_to = |bound: &u64| {
        while bucket < BUCKETS && bucket_upper_us(bucket) <= *bound {
            below += of.counts[bucket];
            bucket += 1;
        }
        below
    };
    bounds_us.iter().map(up_to).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_counts_what_is_below_each_bound() {
        let mut it = Histogram::default();
        [3, 7, 8, 100, 511, 512, 5_000_000].iter().for_each(|us| it.record_us(*us));
        assert_eq!(folded(&it, &[8, 128, 512, 1024]), vec![2, 4, 5, 6]);
    }
}
