//! What was measured of executions.

use flowmeter_proto::v1 as api;
use tonic::{Response, Status};

use super::{Answer, Fake};

impl Fake {
    /// Remembers the reports, and rejects those without an integration.
    pub(super) fn report(
        &self,
        request: api::ReportExecutionsRequest,
    ) -> Answer<api::ReportExecutionsResponse> {
        let mut memory = self.memory.lock().unwrap();
        memory.executed.push(request.clone());
        if memory.failures > 0 {
            memory.failures -= 1;
            return Err(Status::unavailable("the broker is away"));
        }
        let is_wrong = |report: &api::ExecutionReport| report.integration.is_empty();
        let rejection = |(index, _): (usize, &api::ExecutionReport)| api::Rejection {
            index: index.try_into().unwrap(),
            reason: "INVALID_FIELD".into(),
            field_violations: vec![api::FieldViolation {
                field: format!("reports[{index}].integration"),
                description: "expected the name of an integration".into(),
            }],
        };
        let rejections: Vec<_> = request
            .reports
            .iter()
            .enumerate()
            .filter(|(_, report)| is_wrong(report))
            .map(rejection)
            .collect();
        let accepted_count = (request.reports.len() - rejections.len()).try_into().unwrap();
        let request_id = request.request_id;
        Ok(Response::new(api::ReportExecutionsResponse { request_id, accepted_count, rejections }))
    }

    /// Remembers what is asked for, and answers with what there is.
    pub(super) fn calls(&self, request: api::QueryExecutionsRequest) -> api::QueryExecutionsResponse {
        let mut memory = self.memory.lock().unwrap();
        let calls =
            api::QueryExecutionsResponse { calendar: request.calendar.clone(), ..memory.calls.clone() };
        memory.asked_calls.push(request);
        calls
    }
}
