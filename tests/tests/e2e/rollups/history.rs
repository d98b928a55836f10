//! Random histories: the events that several tenants send, with retries, in random order and batches, and the
//! events that must be stored.

use std::collections::BTreeMap;

use flowmeter_core::ids::{EventId, RequestEventIds, RequestId, TenantId};
use flowmeter_core::quantity::Quantity;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::{TextField, UsageEvent};
use flowmeter_store::Store;
use flowmeter_store::batch::{Batch, NewEvent, NewRequest, Writer};
use flowmeter_store::rollups::fold_partials;

use crate::dice::Dice;

/// The stored events of a tenant. Of several events with the same id, the first one is stored.
pub type Events = BTreeMap<EventId, UsageEvent<'static>>;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The days on which events happen, as a start and a number of days: changes of clocks, ends of months and
/// years, and the first and last representable days.
const PLACES: [(&str, i64); 12] = [
    ("1970-01-01T00:00:00Z", 2),
    // Clocks in Monrovia are set forward by 44 minutes and 30 seconds.
    ("1972-01-06T12:00:00Z", 2),
    // Apia skips a day.
    ("2011-12-29T00:00:00Z", 3),
    ("2024-02-28T00:00:00Z", 3),
    // Clocks are set forward by an hour in New York, and three weeks later in London. On Lord Howe Island
    // they are set back by half an hour.
    ("2024-03-10T00:00:00Z", 1),
    ("2024-03-30T00:00:00Z", 3),
    ("2024-04-06T12:00:00Z", 1),
    ("2024-05-20T00:00:00Z", 16),
    ("2024-10-26T12:00:00Z", 2),
    ("2024-11-02T12:00:00Z", 2),
    ("2024-12-30T00:00:00Z", 4),
    ("2099-12-31T00:00:00Z", 2),
];

pub const PROVIDERS: [&str; 4] = ["ODSLRequest", "ODSLProcess", "AzureServiceBus", "Own.Provider"];
/// Some database servers lowercase the last one to `options`, others do not.
const METHODS: [&str; 13] = [
    "get",
    "get",
    "GET",
    "Head",
    "options",
    "post",
    "PUT",
    "patch",
    "delete",
    "DELETE",
    "trace",
    "",
    "OPT\u{130}ONS",
];
pub const ACTIONS: [&str; 6] = ["", "Size", "IncomingMessages", "ServerSendLatency", "run", "Größe"];

/// The values of a text field or an attribute. An empty text means that the attribute is absent.
pub fn texts(field: &str) -> &'static [&'static str] {
    match field {
        "provider" => &PROVIDERS,
        "method" => &METHODS,
        "action" => &ACTIONS,
        "application" => &["", "api", "API", "o'hara", "say \"hi\"", "back\\slash", "50%_x"],
        "detail" => &["", "A long word", "two\nlines", "tab\tbed", "ünï©ode 🦀"],
        "environment" => &["", "prod", "test"],
        "invocation_id" => &["", "i-1", "i-2"],
        "service" => &["object", "object", "data", "", "señal"],
        "type" => &["api", "message", ""],
        "user" => &["", "anna", "Bob", "bob", "zoë"],
        "key" => &["", "AAA", "AAB", "a/b", "\u{1f980}", "ﬁ"],
        "queue" => &["", "orders", "bills"],
        "name" => &["", "nightly", "hourly", "<&>"],
        "status" => &["", "success", "failed"],
        _ => &["", "timer", "manual", "10", "9"],
    }
}

/// The names of attributes in ascending order.
pub const ATTRIBUTES: [&str; 6] = ["key", "name", "odd name", "queue", "status", "trigger"];

/// A request, which may be delivered again.
#[derive(Clone)]
struct Sent {
    tenant: usize,
    id: RequestId,
    events: Vec<(EventId, bool, UsageEvent<'static>)>,
}

/// The requests so far, and the events that must be stored.
pub struct History {
    tenants: Vec<TenantId>,
    sent: Vec<Sent>,
    /// The stored events of each tenant.
    pub stored: Vec<Events>,
    /// The time of the latest events.
    now: Timestamp,
}

impl History {
    pub fn new(tenants: Vec<TenantId>) -> Self {
        let stored = tenants.iter().map(|_| Events::new()).collect();
        Self { tenants, sent: Vec::new(), stored, now: Timestamp::now() }
    }

    /// A random time of an event.
    pub fn time(&self, dice: &mut Dice) -> Timestamp {
        let (start, days) = if dice.once_in(8) {
            (self.now.micros() - 2 * DAY, 2)
        } else {
            let (start, days) = dice.of(&PLACES);
            (start.parse::<Timestamp>().unwrap().micros(), days)
        };
        let length = days * DAY;
        let offset = match dice.below(4) {
            // A time that many events have in common.
            0 => length / 2 + dice.between(0, 90) * SECOND,
            // The boundary of a bucket, or a microsecond before or after it.
            1 | 2 => {
                let width = dice.of(&[MINUTE, 7 * MINUTE, 15 * MINUTE, HOUR, DAY]);
                dice.between(0, length / width) * width + dice.of(&[-1, 0, 0, 1])
            }
            _ => dice.between(0, length),
        };
        Timestamp::from_micros((start + offset).max(0))
    }

    /// Delivers new requests, and some earlier ones again, in random order. Sometimes folds roll-ups in
    /// between.
    pub async fn send_more(&mut self, dice: &mut Dice, requests: usize, store: &Store, writer: &mut Writer) {
        let first = self.sent.len();
        for _ in 0..requests {
            let tenant = dice.below(self.tenants.len());
            let sent = self.request(dice, tenant);
            self.sent.push(sent);
        }
        let mut deliveries: Vec<usize> = (first..self.sent.len()).collect();
        for _ in 0..requests / 2 {
            deliveries.push(dice.below(self.sent.len()));
        }
        dice.shuffle(&mut deliveries);
        let mut waiting = deliveries.as_slice();
        while !waiting.is_empty() {
            let (now, later) = waiting.split_at((1 + dice.below(6)).min(waiting.len()));
            waiting = later;
            self.deliver(now, writer).await;
            if dice.once_in(4) {
                fold_partials(store).await.unwrap();
            }
        }
    }

    /// Applies a batch of requests.
    async fn deliver(&mut self, delivered: &[usize], writer: &mut Writer) {
        let mut batch = Batch::default();
        for index in delivered {
            let Sent { tenant, id: request, events } = &self.sent[*index];
            if batch.requests.iter().any(|other| other.id == *request) {
                continue;
            }
            for (id, keyed, event) in events {
                self.stored[*tenant].entry(*id).or_insert_with(|| event.clone());
                let request = batch.requests.len();
                batch.events.push(NewEvent { request, id: *id, keyed: *keyed, event: event.clone() });
            }
            let tenant = self.tenants[*tenant];
            batch.requests.push(NewRequest { tenant, id: *request, items: events.len() });
        }
        writer.apply(&batch, || Timestamp::EPOCH).await.unwrap();
    }

    fn request(&self, dice: &mut Dice, tenant: usize) -> Sent {
        let id = RequestId::generate();
        let ids = RequestEventIds::new(self.tenants[tenant], id);
        let events = (0..=dice.below(12)).map(|index| {
            let event = event(dice);
            if !dice.once_in(4) {
                let at = self.time(dice);
                return (ids.at(index, at), false, event);
            }
            // An event with a sender's event id. Several events have the same id and time, some with other
            // content.
            let name = dice.between(0, 40);
            let at = START_OF_NAMED + name * 7_000_001;
            let at = Timestamp::from_micros(at + dice.of(&[0, 0, 1]));
            let event = if dice.once_in(2) { UsageEvent::default() } else { event };
            (EventId::keyed(self.tenants[tenant], &name.to_string(), at), true, settled(event))
        });
        Sent { tenant, id, events: events.collect() }
    }

    /// Stores many events that no metric takes, so that a backfill takes several steps.
    pub async fn fill(&mut self, dice: &mut Dice, tenant: usize, events: usize, writer: &mut Writer) {
        const AT_ONCE: usize = 5_000;
        for _ in 0..events / AT_ONCE {
            let id = RequestId::generate();
            let ids = RequestEventIds::new(self.tenants[tenant], id);
            let mut event = UsageEvent::default();
            event.texts[TextField::Provider as usize] = "Nobody";
            let new = |index| NewEvent {
                request: 0,
                id: ids.at(index, self.time(dice)),
                keyed: false,
                event: event.clone(),
            };
            let batch = Batch {
                events: (0..AT_ONCE).map(new).collect(),
                requests: vec![NewRequest { tenant: self.tenants[tenant], id, items: AT_ONCE }],
                ..Batch::default()
            };
            writer.apply(&batch, || Timestamp::EPOCH).await.unwrap();
        }
    }
}

/// 2024-02-28T23:58:00Z.
const START_OF_NAMED: i64 = 1_709_164_680_000_000;

fn settled(mut event: UsageEvent<'static>) -> UsageEvent<'static> {
    event.settle();
    event
}

fn event(dice: &mut Dice) -> UsageEvent<'static> {
    let mut event = UsageEvent {
        http_status: dice.of(&[None, Some(200), Some(200), Some(204), Some(404), Some(999), Some(100)]),
        duration_ms: measured(dice),
        response_bytes: measured(dice),
        value: value(dice),
        ..UsageEvent::default()
    };
    for field in TextField::ALL {
        event.texts[field as usize] = dice.of(texts(field.name()));
    }
    if dice.once_in(2) {
        event.texts[TextField::Provider as usize] = dice.of(&["", "ODSLRequest"]);
    }
    for name in ATTRIBUTES {
        if dice.once_in(2) {
            event.attributes.push((name, dice.of(texts(name))));
        }
    }
    settled(event)
}

/// No value, a small value, or a value that is too large to be exact in binary floating point.
fn measured(dice: &mut Dice) -> Option<i64> {
    match dice.below(8) {
        0 | 1 => None,
        2 => Some(dice.between(0, 20_000_000_000)),
        3 if dice.once_in(10) => Some(i64::MAX),
        _ => Some(dice.between(0, 50)),
    }
}

fn value(dice: &mut Dice) -> Option<Quantity> {
    let billionths = match dice.below(6) {
        0 => return None,
        1 => i128::from(dice.between(-50, 50)),
        2 => i128::from(dice.between(-5_000_000_000, 5_000_000_000)),
        // The largest decimal.
        3 if dice.once_in(4) => i128::from(dice.of(&[-1, 1])) * (10_i128.pow(27) - 1),
        // An integer.
        3 if dice.once_in(6) => i128::from(dice.of(&[i64::MAX, i64::MIN])) * 1_000_000_000,
        3 => i128::from(dice.between(-999, 999)) * 100_000_000_000_000,
        _ => i128::from(dice.between(-9, 9)) * 500_000_000,
    };
    Some(Quantity::from_billionths(billionths))
}
