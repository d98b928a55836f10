//! `StreamUsage`: one answer for each request, in order.

use flowmeter_proto::v1::StreamUsageRequest;
use flowmeter_tests::{Installation, event, request_id};
use tonic::Code;

#[tokio::test]
async fn answers_arrive_in_the_order_of_the_requests() {
    let installation = Installation::start("stream-order").await;
    let tenant = installation.tenant("acme").await;
    let ids: Vec<_> = (0..200).map(|_| request_id()).collect();
    let requests = ids.clone().into_iter().enumerate().map(|(index, request_id)| StreamUsageRequest {
        events: vec![event(); index % 7 + 1],
        request_id,
        return_ids: false,
    });
    let requests: Vec<_> = requests.collect();
    let sent: usize = requests.iter().map(|request| request.events.len()).sum();
    let mut answers =
        tenant.ingest.clone().stream_usage(tokio_stream::iter(requests)).await.unwrap().into_inner();
    for (index, id) in ids.iter().enumerate() {
        let answer = answers.message().await.unwrap().unwrap();
        assert_eq!((&answer.request_id, answer.accepted_count), (id, i32::try_from(index % 7 + 1).unwrap()));
    }
    assert!(answers.message().await.unwrap().is_none());
    for id in &ids {
        tenant.settled(id).await;
    }
    assert_eq!(tenant.read_requests().await, i64::try_from(sent).unwrap());
}

#[tokio::test]
async fn an_invalid_request_ends_the_stream_after_the_earlier_answers() {
    let installation = Installation::start("stream-ends").await;
    let tenant = installation.tenant("acme").await;
    let good = request_id();
    let requests = [good.as_str(), "nonsense"].map(|request_id| StreamUsageRequest {
        events: vec![event()],
        request_id: request_id.into(),
        return_ids: false,
    });
    let mut answers =
        tenant.ingest.clone().stream_usage(tokio_stream::iter(requests)).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap().request_id, good);
    assert_eq!(answers.message().await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(tenant.settled(&good).await.accepted_count, 1);
}
