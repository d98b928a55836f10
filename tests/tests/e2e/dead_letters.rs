//! Requests that cannot be applied become dead letters with a reason, and do not block others.

use flowmeter_core::ids::{RequestId, TenantId};
use flowmeter_proto::queue::{Envelope, FlowCounts, Request, Usage};
use flowmeter_proto::v1::get_receipt_response::State;
use flowmeter_queue::DEAD_LETTER_REASON;
use flowmeter_tests::{Installation, Options, event, eventually, request_id, servers};
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicPublishOptions};
use lapin::types::AMQPValue;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use prost::Message;

async fn broker() -> (Connection, Channel) {
    let (_, amqp_url) = servers();
    let connection = Connection::connect(&amqp_url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

async fn publish(channel: &Channel, prefix: &str, payload: &[u8]) {
    let queue = format!("{prefix}.requests.0");
    let properties = BasicProperties::default();
    channel
        .basic_publish("".into(), queue.as_str().into(), BasicPublishOptions::default(), payload, properties)
        .await
        .unwrap();
}

/// The payload and the reason of the next dead letter.
async fn dead_letter(channel: &Channel, prefix: &str) -> Option<(Vec<u8>, String)> {
    let queue = format!("{prefix}.dead-letters");
    let letter = channel.basic_get(queue.as_str().into(), BasicGetOptions::default()).await.unwrap()?;
    letter.ack(BasicAckOptions::default()).await.unwrap();
    let headers = letter.properties.headers().clone().unwrap_or_default();
    let Some(AMQPValue::LongString(reason)) = headers.inner().get(DEAD_LETTER_REASON) else {
        panic!("a dead letter has a reason");
    };
    Some((letter.data.clone(), reason.to_string()))
}

#[tokio::test]
async fn a_malformed_message_does_not_block_others() {
    let installation = Installation::start("malformed-message").await;
    let tenant = installation.tenant("acme").await;
    let (_connection, channel) = broker().await;
    publish(&channel, &installation.queue_prefix, b"this is not an envelope").await;
    let request = request_id();
    tenant.record(&request, vec![event()]).await.unwrap();
    assert_eq!(tenant.settled(&request).await.state(), State::Applied);
    assert_eq!(tenant.read_requests().await, 1);
    let mut letter = None;
    eventually(true, async || {
        letter = dead_letter(&channel, &installation.queue_prefix).await;
        letter.is_some()
    })
    .await;
    let (payload, reason) = letter.unwrap();
    assert_eq!(payload, b"this is not an envelope");
    assert!(reason.starts_with("expected an encoded envelope"), "{reason}");
}

#[tokio::test]
async fn a_requeued_dead_request_is_applied() {
    let installation = Installation::start("put-back").await;
    let tenant = installation.tenant("acme").await;
    let (_connection, channel) = broker().await;
    let id = RequestId::generate();
    let envelope = |event: Vec<u8>| {
        let event_id = uuid::Uuid::now_v7();
        let usage = Usage { id: event_id.as_bytes().to_vec().into(), keyed: false, event: event.into() };
        let request = Request {
            tenant_id: TenantId::named("acme").0.as_bytes().to_vec().into(),
            request_id: id.0.as_bytes().to_vec().into(),
            usage: vec![usage],
            ..Request::default()
        };
        Envelope { requests: vec![request] }.encode_to_vec()
    };
    publish(&channel, &installation.queue_prefix, &envelope(vec![0xff])).await;
    assert_eq!(tenant.settled(&id.to_string()).await.state(), State::Dead);
    // The same request again, without the defect.
    publish(&channel, &installation.queue_prefix, &envelope(event().encode_to_vec())).await;
    eventually(State::Applied, async || tenant.settled(&id.to_string()).await.state()).await;
    assert_eq!(tenant.read_requests().await, 1);
}

#[tokio::test]
async fn only_the_poison_request_is_dead_and_its_receipt_has_the_reason() {
    let installation = Installation::start("poisoned-request").await;
    let tenant = installation.tenant("acme").await;
    let acme = TenantId::named("acme");
    let (_connection, channel) = broker().await;
    let request = |event: Vec<u8>| {
        let id = RequestId::generate();
        let event_id = uuid::Uuid::now_v7();
        let usage = Usage { id: event_id.as_bytes().to_vec().into(), keyed: false, event: event.into() };
        let request = Request {
            tenant_id: acme.0.as_bytes().to_vec().into(),
            request_id: id.0.as_bytes().to_vec().into(),
            usage: vec![usage],
            ..Request::default()
        };
        (id.to_string(), request)
    };
    // PostgreSQL does not accept NUL in text, and so not in a label. Only the database detects this.
    let nul = flowmeter_proto::v1::UsageEvent { service: "a\0b".into(), ..event() };
    let (rejected, rejected_request) = request(nul.encode_to_vec());
    let (unreadable, unreadable_request) = request(vec![0xff]);
    let (first_good, first_request) = request(event().encode_to_vec());
    let (second_good, second_request) = request(event().encode_to_vec());
    let (counters, mut counters_request) = request(event().encode_to_vec());
    let counts = FlowCounts { flow_id: "flow".into(), minute: 7, counts: vec![1] };
    counters_request.flow_counts = vec![counts];
    let requests =
        vec![first_request, rejected_request, unreadable_request, counters_request, second_request];
    publish(&channel, &installation.queue_prefix, &Envelope { requests }.encode_to_vec()).await;

    for good in [first_good, second_good] {
        assert_eq!(tenant.settled(&good).await.state(), State::Applied);
    }
    for (dead, expected) in [
        (rejected, "the database rejected the operation"),
        (unreadable, "an event cannot be read"),
        (counters, "expected the start of a quarter-hour"),
    ] {
        let receipt = tenant.settled(&dead).await;
        assert_eq!(receipt.state(), State::Dead);
        assert!(receipt.dead_reason.starts_with(expected), "{}", receipt.dead_reason);
    }
    assert_eq!(tenant.read_requests().await, 2);
    let mut letters = Vec::new();
    eventually(3, async || {
        letters.extend(dead_letter(&channel, &installation.queue_prefix).await);
        letters.len()
    })
    .await;
    // Each dead letter is an envelope with a single request, and can be requeued unchanged.
    assert!(letters.iter().all(|(data, _)| Envelope::decode(&data[..]).unwrap().requests.len() == 1));
}

#[tokio::test]
async fn a_batch_that_takes_too_long_is_halved_and_no_request_is_lost() {
    let settings = vec![("FLOWMETER_STATEMENT_TIMEOUT".to_owned(), "1s".to_owned())];
    let options = Options { settings, ..Options::default() };
    let installation = Installation::start_with("slow-batch", options).await;
    let tenant = installation.tenant("acme").await;
    let client = installation.store.client().await.unwrap();
    // A statement that inserts more than one request takes longer than any may.
    client
        .batch_execute(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF (SELECT count(*) FROM added) > 1 THEN PERFORM pg_sleep(60); END IF;
                 RETURN NULL;
             END $$;
             CREATE TRIGGER slow AFTER INSERT ON ingest_request
                 REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION slow()",
        )
        .await
        .unwrap();
    let (_connection, channel) = broker().await;
    let request = || Request {
        tenant_id: TenantId::named("acme").0.as_bytes().to_vec().into(),
        request_id: RequestId::generate().0.as_bytes().to_vec().into(),
        usage: vec![Usage {
            id: uuid::Uuid::now_v7().as_bytes().to_vec().into(),
            keyed: false,
            event: event().encode_to_vec().into(),
        }],
        ..Request::default()
    };
    let requests: Vec<_> = (0..3).map(|_| request()).collect();
    let ids: Vec<_> = requests
        .iter()
        .map(|request| uuid::Uuid::from_slice(&request.request_id).unwrap().to_string())
        .collect();
    publish(&channel, &installation.queue_prefix, &Envelope { requests }.encode_to_vec()).await;
    for id in ids {
        assert_eq!(tenant.settled(&id).await.state(), State::Applied);
    }
    assert_eq!(tenant.read_requests().await, 3);
    let log = std::fs::read_to_string(installation.worker.log()).unwrap();
    assert!(log.contains("a batch took too long and is halved"), "{log}");
}
