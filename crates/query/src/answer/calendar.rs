//! Encodes calendars.

use flowmeter_contract::time::to_proto as time_to_proto;
use flowmeter_proto::v1;
use flowmeter_store::catalog::calendars::{CalendarKind, StoredCalendar};

/// A built-in calendar.
pub fn built_in(code: &str, description: &str) -> v1::Calendar {
    v1::Calendar {
        code: code.to_owned(),
        description: description.to_owned(),
        time_zone: "UTC".to_owned(),
        built_in: true,
        ..v1::Calendar::default()
    }
}

/// A calendar of the tenant.
pub fn to_proto(stored: &StoredCalendar) -> v1::Calendar {
    let calendar = &stored.calendar;
    let kind = match &calendar.kind {
        CalendarKind::Interval { interval, offset } => v1::calendar::Kind::Interval(v1::IntervalCalendar {
            interval: interval.clone(),
            offset: offset.clone(),
        }),
        CalendarKind::WorkingDays { weekend, holidays } => {
            v1::calendar::Kind::WorkingDays(v1::WorkingDayCalendar {
                weekend: weekend.iter().map(|day| i32::from(*day)).collect(),
                holidays: holidays.clone(),
            })
        }
    };
    v1::Calendar {
        code: calendar.code.clone(),
        description: calendar.description.clone(),
        time_zone: calendar.time_zone.clone(),
        kind: Some(kind),
        built_in: false,
        version: stored.version,
        create_time: Some(time_to_proto(stored.created_at)),
        update_time: Some(time_to_proto(stored.updated_at)),
    }
}
