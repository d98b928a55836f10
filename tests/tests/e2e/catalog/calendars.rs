//! Calendars that tenants define.

use flowmeter_proto::v1::{
    Calendar, CreateCalendarRequest, DayOfWeek, DeleteCalendarRequest, GetCalendarRequest, IntervalCalendar,
    QueryTimeSeriesRequest, UpdateCalendarRequest, WorkingDayCalendar, calendar,
};
use flowmeter_tests::Installation;
use tonic::{Code, Status};

use super::{mask, shown};

#[tokio::test]
async fn a_calendar_is_defined_changed_and_used() {
    let installation = Installation::start("own-calendar").await;
    let tenant = installation.tenant("acme").await;
    let mut catalog = tenant.catalog.clone();
    let mut made = async |calendar: Calendar| {
        let request = CreateCalendarRequest { calendar: Some(calendar) };
        Ok::<_, Status>(catalog.create_calendar(request).await?.into_inner().calendar.unwrap())
    };
    let interval = |interval: &str, offset: &str| {
        Some(calendar::Kind::Interval(IntervalCalendar { interval: interval.into(), offset: offset.into() }))
    };
    let gas = Calendar {
        code: "GAS".into(),
        time_zone: "Europe/Berlin".into(),
        kind: interval("P1D", "PT6H"),
        ..Calendar::default()
    };
    let created = made(gas.clone()).await.unwrap();
    assert_eq!((created.version, created.kind.clone()), (1, gas.kind.clone()));
    let office = Calendar {
        code: "OFFICE".into(),
        kind: Some(calendar::Kind::WorkingDays(WorkingDayCalendar {
            weekend: vec![DayOfWeek::Saturday.into(), DayOfWeek::Sunday.into()],
            holidays: vec!["25 of December, shifted".into(), "easter + 1 day".into(), "2026-11-20".into()],
        })),
        ..Calendar::default()
    };
    made(office).await.unwrap();

    let wrong = async |mut calendar: Calendar, change: fn(&mut Calendar)| {
        change(&mut calendar);
        let request = CreateCalendarRequest { calendar: Some(calendar) };
        shown(&tenant.catalog.clone().create_calendar(request).await.unwrap_err())
    };
    let invalid =
        |reason: &str, field: &str| (Code::InvalidArgument, reason.to_owned(), vec![field.to_owned()]);
    let taken = (Code::AlreadyExists, "ALREADY_EXISTS".to_owned(), vec![]);
    assert_eq!(wrong(gas.clone(), |_| {}).await, taken);
    assert_eq!(wrong(gas.clone(), |it| it.code = "daily".into()).await, taken);
    for code in ["#X", "a b", ""] {
        let calendar = Calendar { code: code.into(), ..gas.clone() };
        assert_eq!(wrong(calendar, |_| {}).await, invalid("INVALID_FIELD", "calendar.code"), "{code:?}");
    }
    let other = Calendar { code: "B".into(), ..gas.clone() };
    for (calendar, reason, field) in [
        (Calendar { kind: None, ..other.clone() }, "INVALID_FIELD", "calendar"),
        (
            Calendar { time_zone: "Europe/Nowhere".into(), ..other.clone() },
            "INVALID_CALENDAR",
            "calendar.time_zone",
        ),
        (
            Calendar { kind: interval("P1D", "P1D"), ..other.clone() },
            "INVALID_CALENDAR",
            "calendar.interval.offset",
        ),
        (Calendar { kind: interval("1D", ""), ..other }, "INVALID_CALENDAR", "calendar.interval.interval"),
    ] {
        assert_eq!(wrong(calendar, |_| {}).await, invalid(reason, field));
    }
    let bad_rule = |it: &mut Calendar| {
        let days =
            WorkingDayCalendar { weekend: vec![], holidays: vec!["easter".into(), "32 of May".into()] };
        (it.code, it.kind) = ("B".into(), Some(calendar::Kind::WorkingDays(days)));
    };
    assert_eq!(
        wrong(gas.clone(), bad_rule).await,
        invalid("INVALID_CALENDAR", "calendar.working_days.holidays[1]")
    );

    // The Friday is a holiday, so it and the weekend belong to Thursday the 19th.
    let request = QueryTimeSeriesRequest {
        metric: "ODSLRequest/ReadRequests".into(),
        calendar: "OFFICE".into(),
        range: "between(2026-11-18,2026-11-24)".into(),
        fill: flowmeter_proto::v1::Fill::Zero.into(),
        ..QueryTimeSeriesRequest::default()
    };
    let days: Vec<_> =
        tenant.series(request).await.unwrap().iter().map(|(start, _)| start / 86_400).collect();
    assert_eq!(days, [20_775, 20_776, 20_780, 20_781], "the 18th, 19th, 23rd and 24th");

    let change =
        Calendar { code: "GAS".into(), kind: interval("P1D", "PT5H"), version: 1, ..Calendar::default() };
    let request = UpdateCalendarRequest { calendar: Some(change), update_mask: Some(mask(&["interval"])) };
    let mut catalog = tenant.catalog.clone();
    let changed = catalog.update_calendar(request.clone()).await.unwrap().into_inner().calendar.unwrap();
    assert_eq!((changed.version, changed.time_zone.as_str()), (2, "Europe/Berlin"));
    assert_eq!(shown(&catalog.update_calendar(request).await.unwrap_err()).1, "VERSION_MISMATCH");
    let delete = |code: &str| DeleteCalendarRequest { code: code.into(), version: 0 };
    catalog.delete_calendar(delete("GAS")).await.unwrap();
    assert_eq!(catalog.delete_calendar(delete("GAS")).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(shown(&catalog.delete_calendar(delete("#HENG")).await.unwrap_err()).1, "BUILT_IN");
    let get = GetCalendarRequest { code: "#PT7M".into() };
    assert!(catalog.get_calendar(get).await.unwrap().into_inner().calendar.unwrap().built_in);
}

/// A stored calendar that cannot be parsed is not the reader's mistake.
#[tokio::test]
async fn a_corrupt_calendar_is_an_internal_error() {
    let installation = Installation::start("corrupt-calendar").await;
    let tenant = installation.tenant("acme").await;
    let kind = calendar::Kind::Interval(IntervalCalendar { interval: "P1D".into(), offset: "PT6H".into() });
    let gas = Calendar { code: "GAS".into(), kind: Some(kind), ..Calendar::default() };
    tenant.catalog.clone().create_calendar(CreateCalendarRequest { calendar: Some(gas) }).await.unwrap();
    let corrupt = "UPDATE calendar_definition SET \"offset\" = 'six'";
    installation.store.client().await.unwrap().batch_execute(corrupt).await.unwrap();
    let request = QueryTimeSeriesRequest {
        metric: "ODSLRequest/ReadRequests".into(),
        calendar: "GAS".into(),
        range: "2026-11".into(),
        ..QueryTimeSeriesRequest::default()
    };
    let status = tenant.query.clone().query_time_series(request).await.unwrap_err();
    assert_eq!(shown(&status), (Code::Internal, "INTERNAL".to_owned(), vec![]));
    assert!(status.message().contains("incident_id") && !status.message().contains("six"), "{status}");
    let log = std::fs::read_to_string(installation.query.log()).unwrap();
    assert!(log.contains("interval.offset: expected an ISO 8601 duration"), "{log}");
}
