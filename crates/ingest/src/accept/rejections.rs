//! What of a batch is not accepted, and why.

use flowmeter_core::violation::Violation;
use flowmeter_proto::raw::{FieldViolation, Rejection};
use flowmeter_service::error::Reason;

/// Violations of an item that are listed.
const MAX_VIOLATIONS: usize = 10;
/// Bytes of the violations of a batch at most, about. Clients take answers of 4 MiB by default, and there may
/// be an id for each event besides.
const MAX_BYTES: usize = 2 * 1024 * 1024;
/// What a violation takes beside its texts.
const FRAME_BYTES: usize = 16;

/// The rejections of a batch, by ascending index.
pub(super) struct Rejections {
    /// What items are called in their request.
    items: &'static str,
    all: Vec<Rejection>,
    /// Bytes that violations may still take.
    room: usize,
}

impl Rejections {
    /// None so far, of what is called `items` in its request.
    pub(super) fn of(items: &'static str) -> Self {
        Self { items, all: Vec::new(), room: MAX_BYTES }
    }

    /// Rejects the item at `index` and takes what is wrong with it. The first violations are listed, while
    /// there is room, and then how many more there are.
    pub(super) fn push(&mut self, index: usize, reason: Reason, violations: &mut Vec<Violation>) {
        let parent = format!("{}[{index}]", self.items);
        let count = violations.len();
        let first = violations.drain(..).take(MAX_VIOLATIONS);
        let mut field_violations: Vec<_> =
            first.map_while(|violation| self.fitting(violation.within(&parent))).collect();
        if let more @ 1.. = count - field_violations.len()
            && !field_violations.is_empty()
        {
            let text = format!("{more} more violations are not listed");
            field_violations.extend(self.fitting(Violation::new(parent, text)));
        }
        self.all.push(Rejection {
            index: i32::try_from(index).expect("a batch has at most 10,000 items"),
            reason: reason.name().to_owned(),
            field_violations,
        });
    }

    /// The violation as it is answered, if there is room for it.
    fn fitting(&mut self, Violation { field, description }: Violation) -> Option<FieldViolation> {
        self.room = self.room.checked_sub(field.len() + description.len() + FRAME_BYTES)?;
        Some(FieldViolation { field, description })
    }

    pub(super) fn into_vec(self) -> Vec<Rejection> {
        self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;

    #[test]
    fn an_answer_stays_within_what_clients_take() {
        const ITEMS: usize = 10_000;
        let mut rejections = Rejections::of("documents");
        for index in 0..ITEMS {
            let violation = |_| Violation::new("metrics[0].value", "x".repeat(100));
            rejections.push(index, Reason::InvalidField, &mut (0..4).map(violation).collect());
        }
        let all = rejections.into_vec();
        let bytes: usize = all.iter().map(Message::encoded_len).sum();
        assert!(bytes < 3 * 1024 * 1024, "{bytes}");
        assert_eq!(all.len(), ITEMS);
        assert_eq!(all[0].field_violations.len(), 4);
        assert_eq!(all[0].field_violations[0].field, "documents[0].metrics[0].value");
        assert!(all[ITEMS - 1].field_violations.is_empty(), "there was no more room");
    }

    #[test]
    fn an_item_with_much_wrong_is_told_some_of_it() {
        let mut rejections = Rejections::of("documents");
        let violation = |at: usize| {
            let (metric, field) = (at / 2, ["name", "value"][at % 2]);
            Violation::new(format!("metrics[{metric}].{field}"), "x".repeat(100))
        };
        for (index, count) in [10, 11, 19_998].into_iter().enumerate() {
            rejections.push(index, Reason::InvalidField, &mut (0..count).map(violation).collect());
        }
        let all = rejections.into_vec();
        for (rejection, more) in all.iter().zip([None, Some(1), Some(19_988)]) {
            let violations = &rejection.field_violations;
            let parent = format!("documents[{}]", rejection.index);
            assert_eq!(violations[9].field, format!("{parent}.metrics[4].value"));
            let note = violations.get(10).map(|note| (note.field.as_str(), note.description.clone()));
            let expected = more.map(|more| (&*parent, format!("{more} more violations are not listed")));
            assert_eq!((violations.len(), note), (10 + usize::from(more.is_some()), expected));
        }
    }
}
