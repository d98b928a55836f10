//! What grpcurl and Kubernetes see: reflection and health on every service.

use flowmeter_tests::{Installation, eventually};
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

async fn channel(url: String) -> Channel {
    Endpoint::from_shared(url).unwrap().connect().await.unwrap()
}

async fn reflect(channel: Channel, question: MessageRequest) -> MessageResponse {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let answers = ServerReflectionClient::new(channel)
        .server_reflection_info(tokio_stream::iter([request]))
        .await
        .unwrap();
    answers.into_inner().message().await.unwrap().unwrap().message_response.unwrap()
}

#[tokio::test]
async fn every_service_reflects_and_says_that_it_is_healthy() {
    let installation = Installation::start("reflects").await;
    let ingest: &[&str] = &["flowmeter.v1.IngestService"];
    let query: &[&str] =
        &["flowmeter.v1.AdminService", "flowmeter.v1.CatalogService", "flowmeter.v1.QueryService"];
    for (service, served) in
        [(&installation.ingest, ingest), (&installation.worker, &[]), (&installation.query, query)]
    {
        let channel = channel(service.url()).await;
        let question = MessageRequest::ListServices(String::new());
        let MessageResponse::ListServicesResponse(list) = reflect(channel.clone(), question).await else {
            panic!("{} lists nothing", service.name());
        };
        let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
        names.retain(|name| name.starts_with("flowmeter."));
        names.sort();
        assert_eq!(names, served);
        let question = MessageRequest::FileContainingSymbol("flowmeter.v1.IngestService".into());
        let MessageResponse::FileDescriptorResponse(files) = reflect(channel.clone(), question).await else {
            panic!("{} does not describe the contract", service.name());
        };
        assert!(!files.file_descriptor_proto.is_empty());
        let health = HealthClient::new(channel);
        for name in [""].iter().chain(served) {
            eventually(ServingStatus::Serving, async || {
                let request = HealthCheckRequest { service: (*name).to_owned() };
                health.clone().check(request).await.unwrap().into_inner().status()
            })
            .await;
        }
    }
}
