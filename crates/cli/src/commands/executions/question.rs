//! The options that select the calls of a view, and the query that they make.

use clap::Args;
use flowmeter_proto::v1::QueryExecutionsRequest;

/// The options of all views.
#[derive(Debug, Args)]
pub(crate) struct Question {
    /// The time range, as in `flowmeter series` except last(N). Default: from(T-7D), the last 7 days
    /// and today.
    #[arg(long, default_value = "", hide_default_value = true)]
    range: String,

    /// A filter on calls by integration, instance, command and type, as in `flowmeter series`, such
    /// as 'integration = "VirusTotal"'. Default: all calls.
    #[arg(long, allow_hyphen_values = true, default_value = "", hide_default_value = true)]
    filter: String,

    /// The time zone of days and of the output, such as Europe/London. Default: UTC.
    #[arg(long, value_name = "ZONE", default_value = "", hide_default_value = true)]
    time_zone: String,

    /// Wait until this request is applied, so that the answer includes it.
    #[arg(long, value_name = "REQUEST_ID", default_value = "", hide_default_value = true)]
    after: String,
}

/// The condition that a field has one of these values, or no condition if there are none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Condition<'a> {
    pub(super) field: &'a str,
    pub(super) values: &'a [String],
}

impl Question {
    /// The request to the query service.
    pub(super) fn request(self, group_by: &[&str], own: Option<Condition<'_>>) -> QueryExecutionsRequest {
        let own = own.filter(|own| !own.values.is_empty());
        QueryExecutionsRequest {
            filter: own.map_or_else(|| self.filter.clone(), |own| own.and(&self.filter)),
            group_by: group_by.iter().map(|name| (*name).to_owned()).collect(),
            calendar: String::new(),
            range: self.range,
            time_zone: self.time_zone,
            after_request_id: self.after,
        }
    }
}

impl Condition<'_> {
    /// The filter and this condition, in the syntax of the filter. The filter comes first, so that the
    /// positions in error messages of the service match the given filter.
    fn and(self, filter: &str) -> String {
        let end = filter.trim_end();
        if filter.trim_start().starts_with('{') {
            // The service refuses a filter that is not a complete object.
            let Some(open) = end.strip_suffix('}') else { return filter.to_owned() };
            let comma = if open.trim() == "{" { "" } else { "," };
            let values = serde_json::json!({ "$in": self.values });
            return format!("{open}{comma}\"{}\":{values}}}", self.field);
        }
        // OR binds tighter than AND, so nothing needs parentheses.
        let and = if end.is_empty() { "" } else { " AND " };
        format!("{end}{and}{}", self.expression())
    }

    fn expression(self) -> String {
        let values: Vec<_> = self.values.iter().map(|value| quoted(value)).collect();
        match values.as_slice() {
            [value] => format!("{} = {value}", self.field),
            values => format!("{} IN ({})", self.field, values.join(", ")),
        }
    }
}

/// A text, quoted for a filter expression.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_has_the_syntax_of_the_filter() {
        let values = ["ip".to_owned(), "a \"b\"\\".to_owned()];
        let two = Condition { field: "command", values: &values };
        let one = Condition { field: "command", values: &values[..1] };
        assert_eq!(one.and(""), r#"command = "ip""#);
        assert_eq!(two.and(" "), r#"command IN ("ip", "a \"b\"\\")"#);
        assert_eq!(one.and("a = 1 OR b = 2 "), r#"a = 1 OR b = 2 AND command = "ip""#);
        assert_eq!(two.and(r#"{"a":1} "#), r#"{"a":1,"command":{"$in":["ip","a \"b\"\\"]}}"#);
        assert_eq!(one.and("{ }"), r#"{ "command":{"$in":["ip"]}}"#);
        assert_eq!(one.and(r#"{"a":"#), r#"{"a":"#);
    }
}
