//! OpenMetrics 1.0, for scrapers that ask for it: the same families in a stricter form.
//!
//! It differs from Prometheus' own text in three points: a counter's family goes without `_total`, bounds
//! of buckets have one written form, and the end is marked, so that half an answer is seen to be one.

use std::fmt::Write as _;

use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

/// The whole text.
pub(super) fn encode(families: &[MetricFamily]) -> String {
    let mut text = String::new();
    for family in families {
        let name = family.name();
        match family.get_field_type() {
            MetricType::COUNTER => {
                let base = name.strip_suffix("_total").unwrap_or(name);
                head(&mut text, base, "counter", family.help());
                for it in family.get_metric() {
                    sample(&mut text, &[base, "_total"], it, None, it.get_counter().get_value());
                }
            }
            MetricType::HISTOGRAM => {
                head(&mut text, name, "histogram", family.help());
                family.get_metric().iter().for_each(|it| histogram(&mut text, name, it));
            }
            // Nothing else is made here.
            _ => {
                head(&mut text, name, "gauge", family.help());
                for it in family.get_metric() {
                    sample(&mut text, &[name], it, None, it.get_gauge().get_value());
                }
            }
        }
    }
    text.push_str("# EOF\n");
    text
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(text, "# TYPE {name} {kind}");
    let _ = write!(text, "# HELP {name} ");
    escaped(text, help);
    text.push('\n');
}

fn histogram(text: &mut String, name: &str, metric: &Metric) {
    let it = metric.get_histogram();
    for bucket in it.get_bucket() {
        let bound = bound(bucket.upper_bound());
        sample(text, &[name, "_bucket"], metric, Some(&bound), bucket.cumulative_count() as f64);
    }
    sample(text, &[name, "_bucket"], metric, Some("+Inf"), it.get_sample_count() as f64);
    sample(text, &[name, "_sum"], metric, None, it.get_sample_sum());
    sample(text, &[name, "_count"], metric, None, it.get_sample_count() as f64);
}

fn sample(text: &mut String, name: &[&str], metric: &Metric, bound: Option<&str>, value: f64) {
    name.iter().for_each(|it| text.push_str(it));
    let own = metric.get_label().iter().map(|it: &LabelPair| (it.name(), it.value()));
    let mut before = '{';
    for (label, value) in own.chain(bound.map(|it| ("le", it))) {
        let _ = write!(text, "{before}{label}=\"");
        escaped(text, value);
        text.push('"');
        before = ',';
    }
    if before == ',' {
        text.push('}');
    }
    let _ = writeln!(text, " {value}");
}

fn escaped(text: &mut String, value: &str) {
    for it in value.chars() {
        match it {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            it => text.push(it),
        }
    }
}

/// A bound in the form in which Go prints it, which OpenMetrics made the only one: `1.0`, `0.25`, `8e-06`.
fn bound(it: f64) -> String {
    let short = format!("{it:?}");
    match short.split_once("e-") {
        Some((digits, exponent)) => format!("{digits}e-{exponent:0>2}"),
        None => short,
    }
}

#[cfg(test)]
mod tests {
    use super::super::family::Family;
    use super::*;
    use crate::model::Histogram;

    #[test]
    fn bounds_have_one_form() {
        for (value, text) in [
            (8e-6, "8e-06"),
            (1.6e-5, "1.6e-05"),
            (6.4e-5, "6.4e-05"),
            (0.000_128, "0.000128"),
            (0.262_144, "0.262144"),
            (1.0, "1.0"),
            (16.777_216, "16.777216"),
            (86_400.0, "86400.0"),
        ] {
            assert_eq!(bound(value), text);
        }
    }

    #[test]
    fn families_are_written_as_the_standard_says() {
        let mut counted = Family::counter("tidegate_x_total", "What is \"counted\"\\.");
        counted.add(&[("a", "one\"two\n")], 3.0);
        let mut measured = Histogram::default();
        measured.record_us(7);
        let mut spent = Family::histogram("tidegate_y_seconds", "Time.");
        spent.add_durations(&[], &measured, &[8, 128]);
        let known = Family::gauge("tidegate_z", "Known.").only(0.5);
        let expected = "\
# TYPE tidegate_x counter
# HELP tidegate_x What is \\\"counted\\\"\\\\.
tidegate_x_total{a=\"one\\\"two\\n\"} 3
# TYPE tidegate_y_seconds histogram
# HELP tidegate_y_seconds Time.
tidegate_y_seconds_bucket{le=\"8e-06\"} 1
tidegate_y_seconds_bucket{le=\"0.000128\"} 1
tidegate_y_seconds_bucket{le=\"+Inf\"} 1
tidegate_y_seconds_sum 0.000007
tidegate_y_seconds_count 1
# TYPE tidegate_z gauge
# HELP tidegate_z Known.
tidegate_z 0.5
# EOF
";
        assert_eq!(encode(&[counted.done(), spent.done(), known]), expected);
    }
}
