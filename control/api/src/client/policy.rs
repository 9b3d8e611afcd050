//! The client's requests about policy versions.

use hyper::Method;
use serde::Serialize;

use super::{Client, ClientError, percent_encoded};
use crate::device::{Device, DeviceChanges, DeviceQuery};
use crate::listing::Listing;
use crate::shadow::ShadowStatus;
use crate::versions::{
    Allow, AssertionResult, Draft, IsItMe, IslandSwitch, PolicyChanged, PolicyDiff, PolicyText,
    PolicyVersion, Proposal, Proposed, RollBack, Step, StepBody, TestResult, TupleAnswer,
    TupleQuery,
};

fn body<T: Serialize>(value: &T) -> Option<String> {
    // The API's own types can't fail to serialise.
    crate::to_json(value).ok()
}

impl Client {
    /// `GET /v1/policy/versions`: the newest `limit`, newest first.
    ///
    /// # Errors
    /// [`ClientError`]; that holds for every request.
    pub fn policy_versions(&self, limit: u32) -> Result<Listing<PolicyVersion>, ClientError> {
        self.ask(Method::GET, &format!("/v1/policy/versions?limit={limit}"), None)
    }

    /// `GET /v1/policy/versions/{number}`; `None`: the version in force.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn policy_text(&self, number: Option<u64>) -> Result<PolicyText, ClientError> {
        let which = number.map_or_else(|| "in-force".to_owned(), |number| number.to_string());
        self.ask(Method::GET, &format!("/v1/policy/versions/{which}"), None)
    }

    /// `GET /v1/policy/diff`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn policy_diff(
        &self,
        from: Option<u64>,
        to: Option<u64>,
        limit: u32,
    ) -> Result<PolicyDiff, ClientError> {
        let mut path = format!("/v1/policy/diff?limit={limit}");
        for (name, value) in [("from", from), ("to", to)] {
            value.iter().for_each(|value| path.push_str(&format!("&{name}={value}")));
        }
        self.ask(Method::GET, &path, None)
    }

    /// `POST /v1/policy/versions`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn propose(&self, proposal: &Proposal) -> Result<Proposed, ClientError> {
        self.ask(Method::POST, "/v1/policy/versions", body(proposal))
    }

    /// `POST /v1/policy/versions/{number}/approve` or `/reject`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn judge_version(
        &self,
        number: u64,
        step: Step,
        details: &StepBody,
    ) -> Result<PolicyVersion, ClientError> {
        let path = format!("/v1/policy/versions/{number}/{}", step.name());
        self.ask(Method::POST, &path, body(details))
    }

    /// `POST /v1/policy/versions/{number}/apply`. Durable and published when this returns; after [`ClientError::Timeout`] it may yet
    /// happen.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn apply_version(
        &self,
        number: u64,
        details: &StepBody,
    ) -> Result<PolicyChanged, ClientError> {
        self.ask(Method::POST, &format!("/v1/policy/versions/{number}/apply"), body(details))
    }

    /// `POST /v1/policy/confirmation`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn confirm_policy(&self) -> Result<PolicyChanged, ClientError> {
        self.ask(Method::POST, "/v1/policy/confirmation", None)
    }

    /// `POST /v1/policy/rollback`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn roll_back(&self, details: &RollBack) -> Result<PolicyChanged, ClientError> {
        self.ask(Method::POST, "/v1/policy/rollback", body(details))
    }

    /// `POST /v1/policy/permits`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn allow(&self, details: &Allow) -> Result<PolicyChanged, ClientError> {
        self.ask(Method::POST, "/v1/policy/permits", body(details))
    }

    /// `PUT /v1/policy/zones/{zone}/island`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn set_island(
        &self,
        zone: &str,
        details: &IslandSwitch,
    ) -> Result<PolicyChanged, ClientError> {
        let path = format!("/v1/policy/zones/{}/island", percent_encoded(zone));
        self.ask(Method::PUT, &path, body(details))
    }

    /// `POST /v1/policy/assertions`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn check_assertions(&self, draft: &Draft) -> Result<Vec<AssertionResult>, ClientError> {
        self.ask(Method::POST, "/v1/policy/assertions", body(draft))
    }

    /// `POST /v1/policy/test`; takes as long as the server gives it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn test_policy(&self, draft: &Draft, limit: u32) -> Result<TestResult, ClientError> {
        self.ask(Method::POST, &format!("/v1/policy/test?limit={limit}"), body(draft))
    }

    /// `GET /v1/policy/verdict`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn explain_tuple(&self, query: &TupleQuery) -> Result<Vec<TupleAnswer>, ClientError> {
        let TupleQuery { client, server, service, segment, vlan } = query;
        let mut path = "/v1/policy/verdict?".to_owned();
        let given =
            [("client", Some(client)), ("server", Some(server)), ("service", Some(service))];
        let optional = [("segment", segment.as_ref()), ("vlan", vlan.as_ref())];
        for (name, value) in given.into_iter().chain(optional) {
            let Some(value) = value else { continue };
            path.push_str(&format!("{name}={}&", percent_encoded(value)));
        }
        self.ask(Method::GET, path.trim_end_matches('&'), None)
    }

    /// `GET /v1/devices/{device}/denials`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn is_it_me(&self, device: &str) -> Result<IsItMe, ClientError> {
        let path = format!("/v1/devices/{}/denials", percent_encoded(device));
        self.ask(Method::GET, &path, None)
    }

    /// `GET /v1/devices`: those of the policy in force.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn devices(&self, query: &DeviceQuery) -> Result<Listing<Device>, ClientError> {
        let mut path = format!("/v1/devices?limit={}", query.limit);
        let filters = [("segment", &query.segment), ("role", &query.role), ("zone", &query.zone)];
        for (name, value) in filters {
            if let Some(value) = value {
                path.push_str(&format!("&{name}={}", percent_encoded(value)));
            }
        }
        self.ask(Method::GET, &path, None)
    }

    /// `GET /v1/devices/{device}`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn device(&self, name: &str) -> Result<Device, ClientError> {
        self.ask(Method::GET, &format!("/v1/devices/{}", percent_encoded(name)), None)
    }

    /// `POST /v1/devices`: all of the changes as one version, or none.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn change_devices(&self, changes: &DeviceChanges) -> Result<PolicyChanged, ClientError> {
        self.ask(Method::POST, "/v1/devices", body(changes))
    }

    /// `PUT /v1/policy/shadow`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn start_shadow(&self, draft: &Draft) -> Result<ShadowStatus, ClientError> {
        self.ask(Method::PUT, "/v1/policy/shadow", body(draft))
    }

    /// `GET /v1/policy/shadow`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn shadow(&self, limit: u32) -> Result<ShadowStatus, ClientError> {
        self.ask(Method::GET, &format!("/v1/policy/shadow?limit={limit}"), None)
    }

    /// `DELETE /v1/policy/shadow`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn stop_shadow(&self) -> Result<ShadowStatus, ClientError> {
        self.ask(Method::DELETE, "/v1/policy/shadow", None)
    }
}
