use proptest::prelude::*;
use serde_json::json;

use super::reading::MAX_PATTERNS;
use super::*;
use crate::usage::TextField;

fn event() -> UsageEvent<'static> {
    let mut event = UsageEvent {
        http_status: Some(200),
        duration_ms: Some(7),
        value: Some("1.1".parse().unwrap()),
        attributes: vec![("queue", "orders")],
        ..UsageEvent::default()
    };
    event.texts[TextField::Application as usize] = "api";
    event
}

#[test]
fn both_notations_have_the_same_meaning() {
    for (json, expression) in [
        ("{}", ""),
        (r#"{"application":"api"}"#, r#"application = "api""#),
        (r#"{"application":{"$eq":"api"},"queue":"orders"}"#, "application=api AND queue='orders'"),
        (r#"{"$and":[{"httpstatus":200},{"duration":"7"}]}"#, "httpstatus = 200 AND (duration = 7)"),
        (r#"{"detail":"a \"b\" \u00e4\ud83d\ude00"}"#, r#"detail = "a \"b\" ä😀""#),
        (r#"{"duration":{"$gte":5,"$lt":9}}"#, "duration >= 5 AND duration < 9"),
        (r#"{"value":{"$gt":1.10,"$lte":-0.5}}"#, "value>1.1 AND value<=-0.5"),
        (r#"{"a":1,"a":2}"#, "a = 1 AND a = 2"),
        (r#"{"a":1.10,"b":true,"c":-1e+9}"#, "a = 1.10 AND b = true AND c = '-1e+9'"),
        (r#"{"a":{"$ne":"x"}}"#, "a != x"),
        (r#"{"a":{"$ne":"x"}}"#, "NOT a = x"),
        (r#"{"a":{"$not":{"$ne":"x"}}}"#, "--a = x"),
        (r#"{"a":{"$in":["x","y","x"]}}"#, "a IN (x, 'y')"),
        (r#"{"a":{"$in":["x"]}}"#, "a = x"),
        (r#"{"httpstatus":{"$nin":[200,404.0]}}"#, "httpstatus NOT IN (200, 404)"),
        (r#"{"httpstatus":{"$nin":[200,404]}}"#, "-httpstatus IN (200, 404)"),
        (r#"{"detail":{"$regex":"^a\\d"}}"#, r"detail =~ '^a\\d'"),
        (r#"{"detail":{"$not":{"$regex":"a"}}}"#, "detail !~ 'a'"),
        (r#"{"user":{"$exists":true},"value":{"$exists":false}}"#, "user:* AND NOT value:*"),
        (r#"{"a":1,"$or":[{"b":2},{"c":3}]}"#, "a = 1 AND b = 2 OR c = 3"),
        (r#"{"$or":[{"a":1,"b":2},{"$or":[{"c":3},{"d":4}]}]}"#, "(a = 1 AND b = 2) OR c = 3 OR (d = 4)"),
        (r#"{"$nor":[{"a":1},{"b":2}]}"#, "NOT (a = 1 OR b = 2)"),
        (r#"{"a":{"$not":{"$gt":"1","$lt":"5"}}}"#, "-(a > 1 AND a < 5)"),
        (r#"{"attributes.id":1,"attributes.queue":"x"}"#, "attributes.id = 1 AND queue = x"),
        (
            r#"{"my key":"x","$and":[{"attributes.$or":"y"}]}"#,
            "attributes['my key']=x AND attributes[\"$or\"]=y",
        ),
        ("\n{ \"größe\" :\t\"x\"\r}  ", "größe = x"),
    ] {
        assert_eq!(Filter::parse(json), Filter::parse(expression), "{json}");
        assert!(Filter::parse(json).is_ok(), "{json}: {:?}", Filter::parse(json));
    }
    assert_eq!(Filter::parse("  "), Ok(Filter::default()));
    assert!(Filter::parse(" {} ").unwrap().is_everything());
}

#[test]
fn a_condition_is_true_or_false() {
    for (text, expected) in [
        ("", true),
        ("application = api", true),
        ("application = Api", false),
        ("application != Api", true),
        ("application = api AND httpstatus = 404", false),
        ("application = api OR httpstatus = 404", true),
        ("httpstatus = 200.0 AND duration = 7 AND queue = orders", true),
        ("value = 1.10", true),
        ("value > 1.09 AND value < 1.100000001", true),
        ("duration >= 7 AND duration <= 7", true),
        ("duration > 7 OR duration < 7", false),
        ("httpstatus IN (404, 200)", true),
        ("httpstatus NOT IN (404, 200)", false),
        // Absent numbers.
        ("response_size = 0", false),
        ("response_size != 0", true),
        ("response_size < 5", false),
        ("NOT response_size < 5", true),
        ("response_size IN (0, 1)", false),
        ("response_size NOT IN (0, 1)", true),
        ("response_size:*", false),
        ("NOT response_size:* AND value:*", true),
        // Absent texts are empty.
        ("queue = \"\"", false),
        ("topic = \"\"", true),
        ("user = \"\"", true),
        ("user != x", true),
        ("user < a", true),
        ("user >= ''", true),
        ("topic > ''", false),
        ("topic IN ('', x)", true),
        ("user:* OR topic:*", false),
        ("application:* AND queue:*", true),
        ("topic =~ '^$'", true),
        ("application =~ 'p' AND queue !~ '^rders'", true),
        // Texts by their bytes, numbers by their value.
        ("application > Z", true),
        ("application < ä", true),
        ("duration < 10", true),
        ("queue < orderss AND queue > order", true),
    ] {
        assert_eq!(Filter::parse(text).unwrap().matches(&event()), expected, "{text}");
    }
}

#[test]
fn labels_match_like_the_events_with_these_labels() {
    let value_of = |field: &Field| match field.name() {
        "httpstatus" => "200",
        "application" => "api",
        _ => "",
    };
    for (text, expected) in [
        ("httpstatus = 200.0", true),
        ("httpstatus >= 1000", false),
        ("application = api AND user = ''", true),
        ("NOT application =~ '^a'", false),
        ("queue:*", false),
    ] {
        assert_eq!(Filter::parse(text).unwrap().matches_labels(value_of), expected, "{text}");
    }
    assert!(!Filter::parse("httpstatus:* OR httpstatus < 5").unwrap().matches_labels(|_| ""));
}

#[test]
fn errors_say_where_a_filter_is_wrong() {
    let operators = "$eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $regex, $exists or $not";
    for (text, position, expected) in [
        ("application", 12, "an operator: =, !=, <, <=, >, >=, =~, !~, IN, NOT IN or :*"),
        ("application = ", 15, "a number, a word or a string in quotes"),
        ("application == api", 14, "a number, a word or a string in quotes"),
        ("application = \"api", 19, "\" at the end of the text"),
        (r#"a = "\d""#, 7, "\\ or a quote after \\"),
        ("a = b c = d", 7, "AND, OR or the end"),
        ("a = b AND", 10, "the name of a field"),
        ("a = b AND OR = c", 11, "the name of a field"),
        ("(a = b", 7, "AND, OR or )"),
        ("a = b)", 6, "AND, OR or the end"),
        ("a:b", 3, "* after :, which tests whether the field is present"),
        ("a IN b", 6, "( and the values"),
        ("a IN (b c)", 9, ", or )"),
        ("a NOT (b)", 7, "IN"),
        ("a = AND", 5, "a number, a word or a string in quotes"),
        ("a =~ b", 6, "a pattern in quotes"),
        ("httpstatus = ok", 14, "a number such as -12.50, because httpstatus is one"),
        ("duration IN (1, 1.0000000001)", 17, "at most 9 digits after the decimal point, for duration"),
        (
            "value > 9223372036854775808",
            9,
            "a 64-bit integer, or at most 18 digits before the decimal point, for value",
        ),
        ("a = 1 AND value =~ '1'", 20, "a comparison, because value is a number"),
        ("ä = 'ö' AND a =~ '\\\\d(b'", 22, "a regular expression (unclosed group)"),
        ("a =~ '\\\\b'", 7, "no anchors except ^ and $"),
        ("timestamp > 5", 1, "a field other than timestamp: time is chosen by range"),
        ("a = b OR id = 5", 10, "a field other than id: write attributes.id for the attribute"),
        ("event_id = 5", 1, "a field other than event_id: events are read by their ids"),
        ("decimal_value = 5", 1, "value in place of decimal_value"),
        ("attributes.user = 5", 1, "an attribute: user is a field of the event"),
        ("attributes[''] = 5", 1, "the name of a field"),
        ("a = 'x\0'", 5, "text without NUL characters"),
        ("{\"httpstatus\":\"ok\"}", 15, "a number such as -12.50, because httpstatus is one"),
        ("{\"value\":1e3}", 10, "a number such as -12.50, because value is one"),
        ("{\"a\":1,\"$or\":[]}", 14, "at least one object"),
        ("{\"a\":1,\"$or\":[{}]}", 15, "an object with a condition"),
        ("{\"a\":1,\"$or\":{}}", 14, "a list of objects"),
        ("{\"a\":1,\"$not\":{}}", 8, "the name of a field, $and, $or or $nor"),
        ("{\"a\":null}", 6, "a string, a number or an object such as {\"$gt\": 5} for a"),
        ("{\"a\":01}", 6, "a string, a number or an object such as {\"$gt\": 5} for a"),
        ("{\"a\":{}}", 6, &format!("an operator: {operators}")),
        ("{\"a\":{\"b\":1}}", 7, operators),
        ("{\"a\":{\"$in\":\"b\"}}", 13, "a list of values"),
        ("{\"a\":{\"$in\":[]}}", 13, "at least one value"),
        ("{\"a\":{\"$in\":[1,[]]}}", 16, "a string or a number"),
        ("{\"a\":{\"$exists\":1}}", 17, "true or false"),
        ("{\"a\":{\"$regex\":5}}", 16, "a pattern in double quotes"),
        ("{\"b\":1,\"a\":{\"$regex\":\"\\u0061(\\\\b)\"}}", 30, "no anchors except ^ and $"),
        ("{\"a\":\n1,}", 9, "a name in double quotes"),
        ("{\"a\" 1}", 6, ":"),
        ("{\"a\":1 \"b\":2}", 8, ", or }"),
        ("{\"a\":1} x", 9, "the end"),
        ("{\"a\":\"\\x\"}", 7, "an escape of JSON such as \\\\, \\\" or \\n"),
        ("{\"a\":\"\\ud800x\"}", 7, "both halves of a surrogate pair"),
        ("{\"a\":\"\n\"}", 7, "\\u and four digits for a control character"),
        ("{\"a\":\"\\u0000\"}", 6, "text without NUL characters"),
    ] {
        let error = Filter::parse(text).expect_err(text);
        assert_eq!((error.position, error.expected.as_str()), (position, expected), "{text}");
    }
}

#[test]
fn a_filter_about_some_fields_rejects_all_others() {
    let labels = ["integration", "type"].map(Field::named);
    for text in [
        "",
        "type = a AND NOT integration =~ 'b'",
        "attributes.integration = a OR attributes[\"integration\"]:*",
        r#"{"type":"a","$or":[{"integration":{"$in":["b"]}}]}"#,
    ] {
        assert_eq!(Filter::parse_about(text, &labels), Filter::parse(text), "{text}");
        assert!(Filter::parse(text).is_ok());
    }
    for (text, position) in [
        ("Type = a", 1),
        ("type = a AND (integration = b OR user:*)", 34),
        ("type = ä AND duration > 5", 14),
        ("id = a", 1),
        ("attributes[\"instance\"] = a", 1),
        (r#"{"type":"a","instance":"b"}"#, 13),
        (r#"{"$nor":[{"attributes.type":"a"}]}"#, 11),
    ] {
        let error = Filter::parse_about(text, &labels).expect_err(text);
        assert_eq!(
            (error.position, error.expected.as_str()),
            (position, "one of integration, type"),
            "{text}"
        );
        assert!(error.found.is_some_and(|found| text.contains(&found)), "{text}");
    }
}

#[test]
fn a_filter_has_limits() {
    let position = |text: &str| Filter::parse(text).map_err(|error| (error.position, error.expected));
    let many = |count| vec!["a=b"; count].join(" OR ");
    assert!(position(&many(64)).is_ok());
    assert_eq!(position(&many(65)), Err((64 * 7 + 3, "at most 64 conditions".into())));
    let patterns = |count| vec!["a=~'b'"; count].join(" OR ");
    assert!(position(&patterns(4)).is_ok());
    assert_eq!(position(&patterns(5)), Err((4 * 10 + 4, "at most 4 patterns".into())));
    let values = |count| format!("a IN ({})", vec!["b"; count].join(","));
    assert!(position(&values(256)).is_ok());
    assert_eq!(position(&values(257)), Err((7 + 512, "at most 256 values".into())));
    assert!(position(&format!("a='{}'", "x".repeat(8100))).is_ok());
    assert_eq!(position(&" ".repeat(8193)), Err((1, "at most 8192 bytes".into())));
    let quotes = "\"".repeat(4100);
    let expected = "at most 8192 bytes when written as an expression".to_owned();
    assert_eq!(position(&format!("a='{quotes}'")), Err((1, expected)));

    let nested = |depth: usize| {
        let levels = (0..depth).map(|n| ["a=b AND (", "a=b OR ("][n % 2]).collect::<String>();
        format!("{levels}a=b{}", ")".repeat(depth))
    };
    let expected = "at most 16 levels of nested conditions".to_owned();
    assert!(position(&nested(15)).is_ok());
    assert_eq!(position(&nested(17)), Err((1, expected.clone())));
    assert_eq!(position(&"(".repeat(8000)), Err((33, expected.clone())));
    assert!(position(&format!("{}a=b", "NOT ".repeat(2000))).is_ok());
    let json = |depth| format!("{}{{\"a\":1}}{}", "{\"$or\":[".repeat(depth), "]}".repeat(depth));
    assert!(position(&json(31)).is_ok());
    assert_eq!(position(&json(32)), Err((32 * 8 + 1, expected.clone())));
    let negated = format!("{{\"a\":{}", "{\"$not\":".repeat(900));
    assert_eq!(position(&negated).unwrap_err().1, expected);
}

#[test]
fn filters_can_be_built_and_joined() {
    let api = Filter::equals(Field::named("application"), "api").unwrap();
    let status = Filter::equals(Field::HttpStatus, "200.0").unwrap();
    let odd = Filter::equals(Field::Attribute("a b\"".into()), "x").unwrap();
    let both = api.clone().and(status.clone()).and(Filter::default()).and(odd);
    assert_eq!(both.to_string(), r#"application = "api" AND httpstatus = 200 AND attributes["a b\""] = "x""#);
    assert_eq!(Filter::parse(&both.to_string()), Ok(both.clone()));
    let names: Vec<_> = both.fields().into_iter().map(Field::name).collect();
    assert_eq!(names, ["application", "httpstatus", "a b\""]);
    let equalities: Vec<_> = both.equalities().unwrap().into_iter().map(|(_, value)| value).collect();
    assert_eq!(equalities, ["api", "200", "x"]);
    assert_eq!(Filter::default().and(api.clone()), api);
    assert_eq!(Filter::default().equalities(), Some(Vec::new()));
    assert_eq!(Filter::parse("a = b AND c != d").unwrap().equalities(), None);
    assert_eq!(Filter::parse("a = b OR c = d").unwrap().equalities(), None);
    assert_eq!(Filter::parse("a = b AND a = c").unwrap().equalities().unwrap().len(), 2);

    assert!(Filter::equals(Field::Duration, "x").is_err());
    assert!(Filter::equals(Field::Attribute("user".into()), "x").is_err());
    assert!(Filter::equals(Field::Attribute("timestamp".into()), "x").is_err());
    assert!(Filter::equals(Field::named("id"), "x").is_ok());
}

#[test]
fn the_part_about_some_fields_depends_only_on_them() {
    let fields = [Field::Text(TextField::Application), Field::Text(TextField::Method)];
    for (text, part) in [
        ("", None),
        ("application = a", Some("application = a")),
        ("application = a AND duration > 5", Some("application = a")),
        ("duration > 5", None),
        ("duration > 5 AND queue = x", None),
        ("application = a AND user = b AND method != get", Some("application = a AND method != get")),
        ("application = a OR method = get", Some("application = a OR method = get")),
        ("application = a OR user = b", None),
        ("application = a OR user = b AND method = get", Some("method = get")),
        ("NOT application =~ 'a' AND NOT (method = get AND user = b)", Some("application !~ 'a'")),
    ] {
        let found = Filter::parse(text).unwrap().part_about(&fields);
        assert_eq!(found, part.map(|part| Filter::parse(part).unwrap()), "{text}");
    }
}

#[test]
fn a_filter_is_printed_unambiguously() {
    for (text, shown) in [
        ("a=1 AND b=2 OR c=3", r#"a = "1" AND (b = "2" OR c = "3")"#),
        ("NOT (a=1 AND b:*) AND -c:*", r#"NOT (a = "1" AND b:*) AND NOT c:*"#),
        ("a!=1 OR b !~ 'x' OR NOT c IN (1,2)", r#"a != "1" OR b !~ "x" OR c NOT IN ("1", "2")"#),
        ("NOT duration<1.50", "NOT duration < 1.5"),
        (
            "attributes.id=1 AND attributes.AND=2 AND attributes.-x=3",
            r#"attributes.id = "1" AND attributes.AND = "2" AND attributes.-x = "3""#,
        ),
    ] {
        assert_eq!(Filter::parse(text).unwrap().to_string(), shown, "{text}");
    }
}

fn fields() -> impl Strategy<Value = Field> {
    prop_oneof![
        prop::sample::select(vec![
            Field::Text(TextField::User),
            Field::Text(TextField::InvocationId),
            Field::HttpStatus,
            Field::Duration,
            Field::ResponseSize,
            Field::Value,
        ]),
        prop::sample::select(vec![
            "AND",
            "attributed",
            "attributes.x",
            "id",
            "-",
            ".",
            "$or",
            "größe",
            "a b"
        ])
        .prop_map(|name| Field::Attribute(name.to_owned())),
        "[^\\x00]{1,5}".prop_map(Field::Attribute),
    ]
}

fn values(field: &Field) -> BoxedStrategy<Value> {
    if reading::is_number(field) {
        let billionths = -10_i128.pow(27) + 1..10_i128.pow(27);
        billionths.prop_map(|n| Value::Number(crate::quantity::Quantity::from_billionths(n))).boxed()
    } else {
        "[^\\x00]{0,6}".prop_map(Value::Text).boxed()
    }
}

fn conditions() -> impl Strategy<Value = Condition> {
    use Operator::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
    let operators = prop::sample::select(vec![Equal, Less, LessOrEqual, Greater, GreaterOrEqual]);
    let compared = (fields(), operators).prop_flat_map(|(field, operator)| {
        values(&field).prop_map(move |value| Condition::Compare { field: field.clone(), operator, value })
    });
    let listed = fields().prop_flat_map(|field| {
        let values = prop::collection::vec(values(&field), 1..4);
        values.prop_map(move |values| Condition::one_of(field.clone(), values))
    });
    let matched = "[a-z.*+?\"'\\\\ä]{0,6}".prop_filter_map("a pattern", |text| {
        let pattern = Pattern::parse(&text).ok()?;
        Some(Condition::Matches { field: Field::Text(TextField::Detail), pattern })
    });
    let leaf = prop_oneof![compared, listed, matched, fields().prop_map(Condition::Present)];
    let condition = leaf.prop_recursive(5, 24, 4, |inner| {
        let several = prop::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            several.clone().prop_map(Condition::all),
            several.prop_map(Condition::any),
            inner.prop_map(Condition::negated),
        ]
    });
    condition.prop_filter("few patterns", |condition| {
        let mut patterns = 0;
        condition.visit(&mut |leaf| patterns += usize::from(matches!(leaf, Condition::Matches { .. })));
        patterns <= MAX_PATTERNS
    })
}

/// One of the notations of a condition as a JSON object.
fn to_json(condition: &Condition) -> serde_json::Value {
    let parts = |parts: &[Condition]| parts.iter().map(to_json).collect::<Vec<_>>();
    // The names of fields, and names that begin with a reserved prefix, need the prefix.
    let on = |field: &Field, demand: serde_json::Value| match field {
        Field::Attribute(name) => json!({ format!("attributes.{name}"): demand }),
        _ => json!({ field.name(): demand }),
    };
    match condition {
        Condition::All(of) => json!({ "$and": parts(of) }),
        Condition::Any(of) => json!({ "$or": parts(of) }),
        Condition::Not(inner) => json!({ "$nor": [to_json(inner)] }),
        Condition::Compare { field, operator, value } => {
            let name = match operator {
                Operator::Equal => return on(field, json!(value.to_text())),
                Operator::Less => "$lt",
                Operator::LessOrEqual => "$lte",
                Operator::Greater => "$gt",
                Operator::GreaterOrEqual => "$gte",
            };
            on(field, json!({ name: value.to_text() }))
        }
        Condition::In { field, values } => {
            on(field, json!({ "$in": values.iter().map(Value::to_text).collect::<Vec<_>>() }))
        }
        Condition::Matches { field, pattern } => on(field, json!({ "$regex": pattern.text() })),
        Condition::Present(field) => on(field, json!({ "$exists": true })),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_satisfies_a_filter_satisfies_its_part(
        conditions in proptest::collection::vec(conditions(), 1..4),
        about in proptest::collection::vec(fields(), 0..4),
    ) {
        let filter = Filter { condition: Condition::all(conditions) };
        if let Some(part) = filter.part_about(&about) {
            prop_assert!(part.fields().into_iter().all(|field| about.contains(field)), "{}", part);
            prop_assert!(!filter.matches(&event()) || part.matches(&event()), "{}", part);
        }
    }

    #[test]
    fn printed_filters_parse_to_the_same_filter(condition in conditions()) {
        let filter = Filter { condition };
        prop_assert_eq!(Filter::parse(&filter.to_string()), Ok(filter.clone()), "{}", filter);
        prop_assert_eq!(Filter::parse(&to_json(&filter.condition).to_string()), Ok(filter.clone()), "{}", filter);
    }

    #[test]
    fn parsing_never_panics(text in "[{}\"'=$a-z0-9 \\\\:,!~()*\\-\\[\\]\\PC]{0,40}") {
        let _ = Filter::parse(&text);
        let _ = Filter::parse(&format!("{{\"a\":{text}"));
        let _ = Filter::parse(&format!("{{\"a\":{{\"$regex\":{}}}}}", json!(text)));
    }

    #[test]
    fn parses_all_texts_and_numbers_of_json(text in "[^\\x00]{0,12}", number in any::<f64>().prop_filter("finite", |n| n.is_finite())) {
        let filter = Filter::parse(&json!({ "a": text, "b": number }).to_string()).unwrap();
        let expected = [text, json!(number).to_string()];
        let found: Vec<_> = filter.equalities().unwrap().into_iter().map(|(_, value)| value).collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn a_misspelt_field_is_not_an_attribute() {
    for (name, meant) in [
        ("serivce", "service"),
        ("applicaton", "application"),
        ("durration", "duration"),
        ("responsesize", "response_size"),
        ("User", "user"),
        ("INVOCATION_ID", "invocation_id"),
        ("http_Status", "httpstatus"),
    ] {
        let text = format!(
            "at character 1: expected {meant}, or attributes.{name} for the attribute, found {name:?}"
        );
        assert_eq!(Filter::parse(&format!("{name} != 'a'")).unwrap_err().to_string(), text);
        let json = Filter::parse(&format!("{{\"{name}\": \"a\"}}")).unwrap_err().to_string();
        assert!(json.ends_with(text.split_once(": ").unwrap().1), "{json}");
        let meant = Filter::parse(&format!("attributes.{name} = a")).unwrap();
        assert_eq!(Filter::parse(&meant.to_string()).unwrap(), meant);
    }
    for name in ["timestmp", "Timestamp", "time_stamp"] {
        let text = "a field other than timestamp: time is chosen by range";
        let text = format!(
            "at character 1: expected {text}; or attributes.{name} for the attribute, found {name:?}"
        );
        assert_eq!(Filter::parse(&format!("{name} > 'a'")).unwrap_err().to_string(), text);
    }
    let of_event = Filter::parse("event.service = a").unwrap_err().to_string();
    assert_eq!(
        of_event,
        "at character 1: expected service, or attributes.event.service for the attribute, found \"event.service\""
    );
    for name in ["key", "types", "region", "instance", "user_name", "time"] {
        assert!(Filter::parse(&format!("{name} = a")).is_ok(), "{name}");
    }
}

#[test]
fn every_stored_integer_can_be_filtered_by() {
    for number in [i64::MIN, i64::MAX] {
        let filter = Filter::parse(&format!("value = {number}")).unwrap();
        assert_eq!(Filter::parse(&filter.to_string()).unwrap(), filter);
        let event = UsageEvent { value: Some(number.into()), ..UsageEvent::default() };
        assert!(filter.matches(&event), "{number}");
    }
}
