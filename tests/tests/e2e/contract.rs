//! Reflection and health on every service, as grpcurl and Kubernetes use them.

use flowmeter_tests::{Installation, eventually};
use prost::Message;
use prost_types::FileDescriptorProto;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_types::StatusExt;

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
async fn every_service_supports_reflection_and_reports_its_health() {
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
            panic!("{} lists no services", service.name());
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

/// grpcurl looks up the messages in the details of errors by reflection.
#[tokio::test]
async fn reflection_describes_the_details_of_errors() {
    let installation = Installation::start("details").await;
    let channel = channel(installation.ingest.url()).await;
    for name in
        ["ErrorInfo", "BadRequest", "RetryInfo", "QuotaFailure", "ResourceInfo", "RequestInfo", "Status"]
    {
        let question = MessageRequest::FileContainingSymbol(format!("google.rpc.{name}"));
        let mut waiting = described(&channel, question).await;
        assert!(waiting[0].message_type.iter().any(|message| message.name() == name), "{name}");
        while let Some(file) = waiting.pop() {
            for import in file.dependency {
                waiting.extend(described(&channel, MessageRequest::FileByFilename(import)).await);
            }
        }
    }
}

async fn described(channel: &Channel, question: MessageRequest) -> Vec<FileDescriptorProto> {
    let answer = reflect(channel.clone(), question.clone()).await;
    let MessageResponse::FileDescriptorResponse(files) = answer else {
        panic!("{question:?}: expected file descriptors, found {answer:?}");
    };
    files.file_descriptor_proto.iter().map(|file| FileDescriptorProto::decode(&**file).unwrap()).collect()
}

#[tokio::test]
async fn errors_name_the_unknown_method_and_the_served_ones() {
    let installation = Installation::start("unknown-method").await;
    let tenant = installation.tenant("acme").await;
    for (service, path) in [
        (&installation.ingest, "/flowmeter.v1.CatalogService/ListMetrics"),
        (&installation.ingest, "/flowmeter.v1.IngestService/RecordUsages"),
        (&installation.ingest, "/other.v1.Service/Method"),
        (&installation.worker, "/flowmeter.v1.IngestService/RecordUsage"),
    ] {
        let mut client = tonic::client::Grpc::new(channel(service.url()).await);
        client.ready().await.unwrap();
        let mut request = tonic::Request::new(());
        request.metadata_mut().insert("authorization", format!("Bearer {}", tenant.token).parse().unwrap());
        let codec = tonic_prost::ProstCodec::<(), ()>::default();
        let status = client.unary(request, path.parse().unwrap(), codec).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::Unimplemented, "{status}");
        let health = "grpc.health.v1.Health, grpc.reflection.v1.ServerReflection";
        assert!(status.message().ends_with(&format!("{health}, found {path}")), "{status}");
        assert_eq!(status.get_details_error_info().unwrap().reason, "UNKNOWN_METHOD");
        let is_ingest = status.message().contains("flowmeter.v1.IngestService, grpc");
        assert_eq!(is_ingest, service.name() == "ingest", "{status}");
    }
}
