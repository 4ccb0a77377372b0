//! The text format: families of samples, labels and their escapes.

use std::fmt::Write;

pub type Labels<'a> = Vec<(&'a str, &'a str)>;
pub type Sample<'a> = (Labels<'a>, Option<f64>);

/// The text as it grows.
#[derive(Default)]
pub struct Text(pub String);

impl Text {
    pub fn one(&mut self, name: &str, help: &str, labels: Labels, value: Option<f64>) {
        self.family(name, help, [(labels, value)]);
    }

    /// Names without labels that begin alike, each with its help and value.
    pub fn figures(&mut self, prefix: &str, figures: &[(&str, &str, Option<f64>)]) {
        for (name, help, value) in figures {
            self.one(&format!("{prefix}_{name}"), help, vec![], *value);
        }
    }

    /// All samples of a name, together as the format wants them; nothing where there is none. Of two with the same labels (a path that was
    /// asked for twice) the first counts: a reader refuses a file that has both.
    pub fn family<'a>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = Sample<'a>>,
    ) {
        let mut seen: Vec<String> = Vec::new();
        for (labels, value) in samples {
            let labels = braced(&labels);
            let Some(value) = value.filter(|_| !seen.contains(&labels)) else {
                continue;
            };
            if seen.is_empty() {
                // Writing to a `String` cannot fail.
                let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} gauge");
            }
            let _ = writeln!(self.0, "{name}{labels} {value}");
            seen.push(labels);
        }
    }
}

fn braced(labels: &[(&str, &str)]) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let pairs: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
    format!("{{{}}}", pairs.join(","))
}

/// A label's value as the format writes it. Of the control characters it has an escape for the line feed alone; a carriage return would end the
/// line for some readers.
pub fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// The label of all queues, or names, that are not listed. Of one that is called the same, which nobody does by accident, the figures count.
pub const OTHER: &str = "(other)";

/// The label of a queue or a name; tasks may have none.
pub fn group_label(name: Option<&str>) -> &str {
    name.unwrap_or("(none)")
}

/// Percent of 2 decimals as a share of 4: dividing by 100 would make 3.6 % a 0.036000000000000004.
pub fn share(percent: f64) -> f64 {
    (percent * 100.0).round() / 10_000.0
}

pub fn count(count: u64) -> Option<f64> {
    Some(count as f64)
}
