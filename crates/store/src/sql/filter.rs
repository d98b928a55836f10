//! Filters as conditions of a statement.
//!
//! SQL knows a third value, filters do not. Here an expression is true exactly where
//! the condition holds; elsewhere it is false or NULL. AND and OR keep that, and what
//! does not hold is `IS NOT TRUE`.

use flowmeter_core::asset::urn_field;
use flowmeter_core::filter::{Condition, Filter, Operator, Pattern, Value, is_number};
use flowmeter_core::usage::Field;
use tokio_postgres::types::Type;

use super::Sql;
use super::pattern::regular_expression;
use crate::StoreError;

/// Where the values of fields are.
#[derive(Clone, Copy)]
enum Place<'a> {
    /// In the column `label_values` of `series`, in this order: absent values are empty.
    Labels(&'a [Field]),
    /// In the column `urn` of `asset`, which is never NULL.
    Asset,
}

impl Sql {
    /// ` AND` the filter is satisfied by the events of a series in `series`, whose label
    /// values are those of `labels` in this order. Every field of the filter must be a
    /// label.
    pub(crate) fn matching_labels(
        &mut self,
        filter: &Filter,
        labels: &[Field],
    ) -> Result<&mut Self, StoreError> {
        if let Some(field) = filter.fields().into_iter().find(|field| !labels.contains(field)) {
            let text = format!("the label set does not cover the filter: it has no {:?}", field.name());
            return Err(StoreError::Refused(text));
        }
        Ok(self.filter(filter, Place::Labels(labels)))
    }

    /// ` AND` the filter is satisfied by an asset in `asset`. It may look at the URN alone.
    pub(crate) fn matching_assets(&mut self, filter: &Filter) -> Result<&mut Self, StoreError> {
        let urn = urn_field();
        if let Some(field) = filter.fields().into_iter().find(|field| **field != urn) {
            return Err(StoreError::Refused(format!("assets have no {:?}", field.name())));
        }
        Ok(self.filter(filter, Place::Asset))
    }

    fn filter(&mut self, filter: &Filter, place: Place<'_>) -> &mut Self {
        match filter.condition() {
            Condition::All(parts) => {
                for part in parts {
                    self.push(" AND ").condition(part, place);
                }
            }
            single => {
                self.push(" AND ").condition(single, place);
            }
        }
        self
    }

    /// A condition, in parentheses where it needs them.
    fn condition(&mut self, condition: &Condition, place: Place<'_>) -> &mut Self {
        match condition {
            Condition::All(parts) => self.joined(parts, " AND ", place),
            Condition::Any(parts) => self.joined(parts, " OR ", place),
            Condition::Not(inner) => self.push("(").condition(inner, place).push(") IS NOT TRUE"),
            Condition::Compare { field, operator, value } => match value {
                Value::Number(number) => {
                    self.number(field, place).push(" ").push(operator.sign()).push(" (");
                    self.value(number.to_string(), Type::TEXT).push(")::numeric")
                }
                Value::Text(text) if *operator == Operator::Equal => self.equal(field, text, place),
                Value::Text(text) => {
                    self.text_or_empty(field, place).push(" COLLATE \"C\" ").push(operator.sign()).push(" ");
                    self.value(text.clone(), Type::TEXT)
                }
            },
            Condition::In { field, values } => self.one_of(field, values, place),
            Condition::Matches { field, pattern } => self.matches(field, pattern, place),
            Condition::Present(field) => self.present(field, place),
        }
    }

    fn joined(&mut self, parts: &[Condition], by: &'static str, place: Place<'_>) -> &mut Self {
        let mut between = "(";
        for part in parts {
            self.push(between).condition(part, place);
            between = by;
        }
        self.push(")")
    }

    fn equal(&mut self, field: &Field, text: &str, place: Place<'_>) -> &mut Self {
        match text {
            "" => self.text_or_empty(field, place).push(" = ''"),
            _ => self.text(field, place).push(" = ").value(text.to_owned(), Type::TEXT),
        }
    }

    fn one_of(&mut self, field: &Field, values: &[Value], place: Place<'_>) -> &mut Self {
        let texts: Vec<String> = values.iter().map(Value::to_text).collect();
        if is_number(field) {
            self.number(field, place).push(" = ANY ((").value(texts, Type::TEXT_ARRAY);
            return self.push(")::numeric[])");
        }
        if texts.iter().any(String::is_empty) {
            self.text_or_empty(field, place);
        } else {
            self.text(field, place);
        }
        self.push(" = ANY (").value(texts, Type::TEXT_ARRAY).push(")")
    }

    /// The collation keeps the classes of the server's locale out of it.
    fn matches(&mut self, field: &Field, pattern: &Pattern, place: Place<'_>) -> &mut Self {
        self.text_or_empty(field, place).push(" COLLATE \"C\" ~ ");
        self.value(regular_expression(pattern.syntax()), Type::TEXT)
    }

    fn present(&mut self, field: &Field, place: Place<'_>) -> &mut Self {
        if is_number(field) {
            self.number(field, place).push(" IS NOT NULL")
        } else {
            self.text(field, place).push(" <> ''")
        }
    }

    /// The value of a field of text: NULL or empty where it is absent.
    fn text(&mut self, field: &Field, place: Place<'_>) -> &mut Self {
        match (place, field) {
            (Place::Labels(labels), field) => self.label(field, labels),
            (Place::Asset, _) => self.push("urn"),
        }
    }

    /// The value of a field of text: empty where it is absent.
    fn text_or_empty(&mut self, field: &Field, place: Place<'_>) -> &mut Self {
        match place {
            // Bare, so that an order or the beginning of a pattern can go through the index.
            Place::Asset => self.text(field, place),
            Place::Labels(_) => self.push("coalesce(").text(field, place).push(", '')"),
        }
    }

    /// The value of a field that is a number: NULL where it is absent.
    fn number(&mut self, field: &Field, place: Place<'_>) -> &mut Self {
        match place {
            Place::Labels(labels) => self.push("nullif(").label(field, labels).push(", '')::numeric"),
            Place::Asset => self.text(field, place),
        }
    }

    fn label(&mut self, field: &Field, labels: &[Field]) -> &mut Self {
        let index = labels.iter().position(|label| label == field);
        let index = index.expect("every field of the filter was found among the labels");
        self.push("label_values[").index(index + 1).push("]")
    }
}

#[cfg(test)]
mod tests;
