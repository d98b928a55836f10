//! The three services: one file for each method.

pub mod admin;
pub mod catalog;
pub mod query;

/// Runs a method in a separate span, as part of the caller's trace.
macro_rules! traced {
    ($name:literal, $metadata:expr, $handling:expr) => {{
        let span = tracing::info_span!($name);
        telemetry::continue_trace(&span, $metadata);
        Ok(Response::new($handling.instrument(span).await?))
    }};
}
pub(crate) use traced;
