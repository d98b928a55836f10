//! The names of metrics, objects and time series. Checks their form, but not whether they exist.

/// The source of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A metric, as PROVIDER/NAME.
    Metric(String),
    /// A stored time series, as its resource name.
    TimeSeries(String),
}

/// The provider of asset metrics, whose names can contain a `/`.
pub(crate) const ASSET: &str = "asset";

/// Whether a metric, as PROVIDER/NAME, is an asset metric.
pub(crate) fn is_of_assets(metric: &str) -> bool {
    metric.split_once('/').is_some_and(|(provider, _)| provider == ASSET)
}

/// Reads the source of a series: `objects/OBJECT/timeSeries/ID` is a stored time series,
/// provider/name a metric.
pub(crate) fn parse_source(text: &str) -> Result<Source, String> {
    match text.split('/').collect::<Vec<_>>()[..] {
        ["objects", object, "timeSeries", id] if !object.is_empty() && !id.is_empty() => {
            Ok(Source::TimeSeries(text.to_owned()))
        }
        _ if parse_metric(text).is_ok() => Ok(Source::Metric(text.to_owned())),
        _ => Err("expected a metric such as ODSLRequest/ReadRequests \
            or a time series such as objects/AAA/timeSeries/HOURLY"
            .into()),
    }
}

/// Reads the name of a metric, as provider/name.
pub(crate) fn parse_metric(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((provider, name))
            if !provider.is_empty() && !name.is_empty() && (provider == ASSET || !name.contains('/')) =>
        {
            Ok((provider.to_owned(), name.to_owned()))
        }
        _ => Err("expected PROVIDER/NAME, such as ODSLRequest/ReadRequests".into()),
    }
}

/// Reads the name of a time series, `objects/OBJECT/timeSeries/ID` or OBJECT/ID, and
/// returns the longer form.
pub(crate) fn parse_time_series(text: &str) -> Result<String, String> {
    match text.split('/').collect::<Vec<_>>()[..] {
        ["objects", object, "timeSeries", id] | [object, id]
            if object != "objects" && !object.is_empty() && !id.is_empty() =>
        {
            Ok(format!("objects/{object}/timeSeries/{id}"))
        }
        _ => Err("expected OBJECT/ID or objects/OBJECT/timeSeries/ID, such as AAA/HOURLY".into()),
    }
}

/// Reads the name of an object, OBJECT or `objects/OBJECT`, and returns the longer form.
pub(crate) fn parse_object(text: &str) -> Result<String, String> {
    let object = text.strip_prefix("objects/").unwrap_or(text);
    if object.is_empty() || object.contains('/') {
        return Err("expected OBJECT or objects/OBJECT, such as AAA".into());
    }
    Ok(format!("objects/{object}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_source_is_known_by_its_form() {
        let stored = "objects/AAA/timeSeries/HOURLY";
        assert_eq!(parse_source(stored), Ok(Source::TimeSeries(stored.into())));
        assert_eq!(parse_source("P/m"), Ok(Source::Metric("P/m".into())));
        assert_eq!(parse_source("asset/rows / day"), Ok(Source::Metric("asset/rows / day".into())));
        // A provider can have this name.
        assert_eq!(parse_source("objects/m"), Ok(Source::Metric("objects/m".into())));
        for wrong in ["", "m", "/m", "P/", "a/b/c", "objects//timeSeries/x", "objects/A/timeSeries/"] {
            assert!(parse_source(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn malformed_names_are_refused() {
        for wrong in ["", "A", "/X", "A/", "objects/A", "objects/A/timeSeries", "objects/A/series/X"] {
            assert!(parse_time_series(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "objects/", "A/X", "objects/A/timeSeries/X"] {
            assert!(parse_object(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "m", "/m", "P/", "a/b/c", "asset/"] {
            assert!(parse_metric(wrong).is_err(), "{wrong}");
        }
        assert_eq!(parse_object("-"), Ok("objects/-".into()));
    }

    proptest! {
        #[test]
        fn short_names_become_long_names(object in "[^/\\pC]{1,20}", id in "[A-Za-z0-9_.-]{1,20}") {
            prop_assume!(object != "objects");
            let name = parse_time_series(&format!("{object}/{id}")).unwrap();
            prop_assert_eq!(parse_time_series(&name), Ok(name.clone()));
            prop_assert_eq!(parse_source(&name), Ok(Source::TimeSeries(name.clone())));
            let parent = parse_object(&object).unwrap();
            prop_assert_eq!(parse_object(&parent), Ok(parent.clone()));
            prop_assert_eq!(name, format!("{parent}/timeSeries/{id}"));
        }
    }
}
