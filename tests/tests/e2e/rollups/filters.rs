//! Random filters in both notations.

use flowmeter_core::filter::Filter;
use flowmeter_proto::v1::Metric;

use super::history::texts;
use crate::dice::Dice;

/// The labels that a metric can keep, and by which series can be grouped.
pub const LABELS: [&str; 12] = [
    "service",
    "application",
    "method",
    "user",
    "httpstatus",
    "action",
    "key",
    "queue",
    "trigger",
    "status",
    "attributes.name",
    "odd name",
];

/// The fields of filters.
pub const FIELDS: [&str; 14] = [
    "service",
    "application",
    "method",
    "user",
    "httpstatus",
    "action",
    "key",
    "trigger",
    "attributes.status",
    "type",
    "provider",
    "duration",
    "response_size",
    "value",
];

const PATTERNS: [&str; 10] =
    ["^a", "e$", "o.*t", "[A-Z]", "é|ï|ñ", "^$", "\\d", "(?i)API", "\"|\\\\", "b{1,2}"];

/// A filter for a query of a metric: none, by the kept labels, or by any fields.
pub fn of_metric(dice: &mut Dice, metric: &Metric) -> String {
    match dice.below(5) {
        0 | 1 => String::new(),
        2 if !metric.label_sets.is_empty() => {
            let labels = dice.of(&metric.label_sets).labels;
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            if dice.once_in(2) { exact(dice, &labels) } else { random(dice, &labels) }
        }
        _ => random(dice, &FIELDS),
    }
}

/// A filter that requires a value of every field.
fn exact(dice: &mut Dice, fields: &[&str]) -> String {
    let equal = |field: &&str| format!("{} = {}", spelled(field), quoted(&value(dice, field)));
    fields.iter().map(equal).collect::<Vec<_>>().join(" AND ")
}

/// A filter by these fields in one of the notations.
pub fn random(dice: &mut Dice, fields: &[&str]) -> String {
    let depth = dice.of(&[0, 0, 0, 1, 1, 2]);
    if dice.once_in(2) { expression(dice, fields, depth) } else { object(dice, fields, depth) }
}

/// A filter for the selector of a metric, where patterns are not allowed.
pub fn without_patterns(dice: &mut Dice) -> String {
    loop {
        let filter = random(dice, &FIELDS);
        if !Filter::parse(&filter).unwrap().has_patterns() {
            return filter;
        }
    }
}

/// The name of a field in an expression.
fn spelled(field: &str) -> String {
    if field.contains(' ') { format!("attributes[\"{field}\"]") } else { field.to_owned() }
}

fn is_number(field: &str) -> bool {
    matches!(field, "httpstatus" | "duration" | "response_size" | "value")
}

fn value(dice: &mut Dice, field: &str) -> String {
    match field {
        "httpstatus" => dice.of(&["200", "204", "404", "100", "999", "200.0", "201.5", "-1"]),
        "duration" | "response_size" => dice.of(&["0", "5", "20", "49.5", "10000000000", "-0.1"]),
        "value" => dice.of(&["0", "1.5", "-0.000000005", "-2", "100000", "0.50"]),
        _ => dice.of(texts(field.trim_start_matches("attributes."))),
    }
    .to_owned()
}

/// A text in quotes, which are the same in both notations.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn expression(dice: &mut Dice, fields: &[&str], depth: usize) -> String {
    if depth == 0 {
        return restriction(dice, fields);
    }
    let mut inner = || expression(dice, fields, depth - 1);
    let (one, other) = (inner(), inner());
    match dice.below(5) {
        0 => format!("NOT ({one})"),
        1 => format!("({one}) OR ({other})"),
        // OR binds tighter.
        2 => format!("({one}) AND {} OR ({other})", restriction(dice, fields)),
        3 => format!("-({one}) AND ({other})"),
        _ => format!("({one}) AND ({other})"),
    }
}

fn restriction(dice: &mut Dice, fields: &[&str]) -> String {
    let field = dice.of(fields);
    let (name, text) = (spelled(field), value(dice, field));
    match dice.below(8) {
        0 => format!("{name}:*"),
        1 => format!("NOT {name} = {}", quoted(&text)),
        2 => {
            let values: Vec<_> = (0..=dice.below(3)).map(|_| quoted(&value(dice, field))).collect();
            format!("{name}{} IN ({})", dice.of(&["", " NOT"]), values.join(", "))
        }
        3 if !is_number(field) => {
            format!("{name} {} {}", dice.of(&["=~", "!~"]), quoted(dice.of(&PATTERNS)))
        }
        _ => format!("{name} {} {}", dice.of(&["=", "=", "!=", "<", "<=", ">", ">="]), quoted(&text)),
    }
}

fn object(dice: &mut Dice, fields: &[&str], depth: usize) -> String {
    if depth == 0 {
        return format!("{{{}}}", member(dice, fields));
    }
    let mut inner = || object(dice, fields, depth - 1);
    let (one, other) = (inner(), inner());
    match dice.below(4) {
        0 => format!("{{\"$or\": [{one}, {other}]}}"),
        1 => format!("{{\"$nor\": [{one}, {other}]}}"),
        2 => format!("{{\"$and\": [{one}, {other}], {}}}", member(dice, fields)),
        _ => format!("{{{}, {}}}", member(dice, fields), member(dice, fields)),
    }
}

fn member(dice: &mut Dice, fields: &[&str]) -> String {
    let field = dice.of(fields);
    let scalar = |text: &str| if is_number(field) { text.to_owned() } else { quoted(text) };
    let text = scalar(&value(dice, field));
    let condition = match dice.below(7) {
        0 => text,
        1 => {
            let values: Vec<_> = (0..=dice.below(3)).map(|_| scalar(&value(dice, field))).collect();
            format!("{{\"{}\": [{}]}}", dice.of(&["$in", "$nin"]), values.join(","))
        }
        2 if !is_number(field) => format!("{{\"$regex\": {}}}", quoted(dice.of(&PATTERNS))),
        3 => format!("{{\"$exists\": {}}}", dice.once_in(2)),
        4 => format!("{{\"$not\": {{\"$gt\": {text}}}}}"),
        5 => format!("{{\"$gte\": {text}, \"$ne\": {}}}", scalar(&value(dice, field))),
        _ => format!("{{\"{}\": {text}}}", dice.of(&["$eq", "$ne", "$lt", "$lte", "$gt"])),
    };
    format!("{}: {condition}", quoted(field))
}
