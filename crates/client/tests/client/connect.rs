//! Clients of a fake service.

use std::time::Duration;

use flowmeter_client::{Client, ClientSettings};
use flowmeter_fake::Fake;

/// Settings with a token.
pub fn settings_of(fake: &Fake) -> ClientSettings {
    ClientSettings::new(fake.url()).token("fm_secret")
}

/// A client with more patience than any test needs.
pub fn client(fake: &Fake) -> Client {
    Client::new(settings_of(fake).patience(Duration::from_hours(1))).unwrap()
}

/// A client that asks for the features of the service, which are these.
pub fn client_of_a_service_with(fake: &Fake, features: &[&str]) -> Client {
    *fake.features.lock().unwrap() = features.iter().map(ToString::to_string).collect();
    Client::new(settings_of(fake).query_url(fake.url())).unwrap()
}
