//! Encodes stored time series.

use flowmeter_contract::enums;
use flowmeter_contract::names::TimeSeriesName;
use flowmeter_contract::time::to_proto as time_to_proto;
use flowmeter_proto::v1;
use flowmeter_store::catalog::time_series::StoredTimeSeries;

/// The type of the entity in the OpenDataDSL metric service.
const TYPE: &str = "VarMetricTimeSeries";

/// A stored time series.
pub fn to_proto(stored: &StoredTimeSeries) -> v1::TimeSeries {
    let series = &stored.series;
    let name = TimeSeriesName { object: series.object.clone(), name: series.name.clone() };
    v1::TimeSeries {
        name: name.to_string(),
        r#type: TYPE.to_owned(),
        provider: series.provider.clone(),
        metric: series.metric.clone(),
        display_name: series.display_name.clone(),
        description: series.description.clone(),
        calendar: series.calendar.clone(),
        observed: series.observed.map_or(v1::Observed::Unspecified, enums::reading_to_proto).into(),
        filter: series.filter.clone(),
        time_zone: series.time_zone.clone(),
        version: stored.version,
        create_time: Some(time_to_proto(stored.created_at)),
        update_time: Some(time_to_proto(stored.updated_at)),
    }
}
