//! What of a batch is not accepted, and why.

use flowmeter_core::violation::Violation;
use flowmeter_proto::raw::{FieldViolation, Rejection};
use flowmeter_service::error::Reason;

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

    /// Rejects the item at `index` and takes what is wrong with it, which is left out where there is no more
    /// room.
    pub(super) fn push(&mut self, index: usize, reason: Reason, violations: &mut Vec<Violation>) {
        let parent = format!("{}[{index}]", self.items);
        let mut field_violations: Vec<_> = violations
            .drain(..)
            .map(|violation| {
                let Violation { field, description } = violation.within(&parent);
                FieldViolation { field, description }
            })
            .collect();
        let bytes =
            |violation: &FieldViolation| violation.field.len() + violation.description.len() + FRAME_BYTES;
        let taken: usize = field_violations.iter().map(bytes).sum();
        if taken > self.room {
            field_violations = Vec::new();
        }
        self.room = self.room.saturating_sub(taken);
        self.all.push(Rejection {
            index: i32::try_from(index).expect("a batch has at most 10,000 items"),
            reason: reason.name().to_owned(),
            field_violations,
        });
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
}
