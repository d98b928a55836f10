//! The rejected items of a batch, and why they are rejected.

use flowmeter_core::violation::Violation;
use flowmeter_proto::raw::{FieldViolation, Rejection};
use flowmeter_service::error::{Reason, not_listed};

/// How many violations of an item are listed.
const MAX_VIOLATIONS: usize = 10;
/// About how many bytes the violations of a batch may take. Clients accept responses of up to 4 MiB by
/// default, and the response may also have an id for each event.
const MAX_BYTES: usize = 2 * 1024 * 1024;
/// The size of a violation in addition to its texts.
const FRAME_BYTES: usize = 16;

/// The rejections of a batch, in ascending order of their index.
pub(super) struct Rejections {
    /// The name of the field that has the items.
    items: &'static str,
    all: Vec<Rejection>,
    /// How many bytes violations may still take.
    free_bytes: usize,
}

impl Rejections {
    /// No rejections yet, of a batch whose items are in the field `items`.
    pub(super) fn of(items: &'static str) -> Self {
        Self { items, all: Vec::new(), free_bytes: MAX_BYTES }
    }

    /// Rejects the item at `index` and empties `violations`. Lists the first violations while there is room,
    /// and then the number of the others.
    pub(super) fn push(&mut self, index: usize, reason: Reason, violations: &mut Vec<Violation>) {
        let parent = format!("{}[{index}]", self.items);
        let count = violations.len();
        let first = violations.drain(..).take(MAX_VIOLATIONS);
        let mut field_violations: Vec<_> =
            first.map_while(|violation| self.fitting(violation.within(&parent))).collect();
        if let more @ 1.. = count - field_violations.len()
            && !field_violations.is_empty()
        {
            field_violations.extend(self.fitting(Violation::new(parent, not_listed(more))));
        }
        self.all.push(Rejection {
            index: i32::try_from(index).expect("a batch has at most 10,000 items"),
            reason: reason.name().to_owned(),
            field_violations,
        });
    }

    /// The violation as the response has it, if there is room for it.
    fn fitting(&mut self, Violation { field, description, .. }: Violation) -> Option<FieldViolation> {
        self.free_bytes = self.free_bytes.checked_sub(field.len() + description.len() + FRAME_BYTES)?;
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
    fn a_response_is_no_larger_than_clients_accept() {
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
        assert!(all[ITEMS - 1].field_violations.is_empty(), "no room is left");
    }

    #[test]
    fn an_item_with_many_violations_lists_the_first_ones() {
        let mut rejections = Rejections::of("documents");
        let violation = |at: usize| {
            let (metric, field) = (at / 2, ["name", "value"][at % 2]);
            Violation::new(format!("metrics[{metric}].{field}"), "x".repeat(100))
        };
        for (index, count) in [10, 11, 19_998].into_iter().enumerate() {
            rejections.push(index, Reason::InvalidField, &mut (0..count).map(violation).collect());
        }
        let all = rejections.into_vec();
        let one = "1 more violation is not listed";
        let many = "19988 more violations are not listed";
        for (rejection, more) in all.iter().zip([None, Some(one), Some(many)]) {
            let violations = &rejection.field_violations;
            let parent = format!("documents[{}]", rejection.index);
            assert_eq!(violations[9].field, format!("{parent}.metrics[4].value"));
            let note = violations.get(10).map(|note| (note.field.as_str(), note.description.clone()));
            let expected = more.map(|more| (&*parent, more.to_owned()));
            assert_eq!((violations.len(), note), (10 + usize::from(more.is_some()), expected));
        }
    }
}
