//! Places in the news.

use super::ask::Query;
use super::reply::Problem;

/// Where a page lies. It stands for a decision, so that what happens meanwhile moves nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Cursor {
    /// The newest of those before this one.
    Before(u64),
    /// The oldest of those after this one.
    After(u64),
}

impl Cursor {
    /// What a cursor looks like is our own business; the letter leaves room for other kinds.
    pub(super) fn text(self) -> String {
        match self {
            Self::Before(id) => format!("b{id:x}"),
            Self::After(id) => format!("a{id:x}"),
        }
    }

    pub(super) fn read(text: &str) -> Result<Self, Problem> {
        let number = |kind| {
            let digits = text.strip_prefix(kind)?;
            // `from_str_radix` takes a sign.
            let sound = digits.bytes().all(|it| it.is_ascii_hexdigit());
            sound.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
        };
        let cursor = number('b').map(Self::Before).or_else(|| number('a').map(Self::After));
        cursor.ok_or_else(|| Problem::bad_request("`cursor` is what the page before gave as `next`"))
    }
}

/// How many events a page has.
pub(super) fn limit(query: &Query<'_>) -> Result<usize, Problem> {
    let limit = query.number("limit")?.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Problem::bad_request(format!("`limit` is from 1 to {LIMIT_MAX}")));
    }
    Ok(usize::try_from(limit).unwrap_or(usize::MAX))
}

pub(super) const LIMIT_DEFAULT: u64 = 100;
/// No more are kept.
pub(super) const LIMIT_MAX: u64 = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_of_others_are_refused() {
        for text in ["", "5", "b", "bx", "b-1", "b+1", "b10000000000000000", "c5", "B5", "b5 "] {
            assert!(Cursor::read(text).is_err(), "{text}");
        }
        for number in [0, 42, u64::MAX] {
            for it in [Cursor::Before(number), Cursor::After(number)] {
                assert_eq!(Cursor::read(&it.text()).unwrap(), it);
            }
        }
    }
}
