//! Acting as somebody else: in another account, for example.

use std::fmt;

use aws_config::{ConfigLoader, Region, SdkConfig, sts::AssumeRoleProvider};

/// The session's name, as the other account's logs show it.
const SESSION: &str = "anabranch";

/// A role to act as, in place of the function's own.
///
/// The function's role may `sts:AssumeRole` on it, and it trusts the function's role. It is assumed when the first request is
/// made and again before its credentials expire, through the function's own region.
///
/// ```
/// use anabranch::aws::Role;
///
/// let role = Role::new("arn:aws:iam::210987654321:role/replica-writer").external_id("pettracker");
/// assert_eq!(role.arn(), "arn:aws:iam::210987654321:role/replica-writer");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Role {
    arn: String,
    external_id: Option<String>,
}

impl Role {
    /// The role with this ARN.
    pub fn new(arn: impl Into<String>) -> Self {
        Self { arn: arn.into(), external_id: None }
    }

    /// Says by which external id the role's trust policy knows the function.
    #[must_use]
    pub fn external_id(self, id: impl Into<String>) -> Self {
        Self { external_id: Some(id.into()), ..self }
    }

    /// The role's ARN.
    pub fn arn(&self) -> &str {
        &self.arn
    }

    async fn assumed_by(&self, own: &SdkConfig) -> AssumeRoleProvider {
        let mut role = AssumeRoleProvider::builder(&self.arn).session_name(SESSION).configure(own);
        if let Some(id) = &self.external_id {
            role = role.external_id(id);
        }
        role.build().await
    }
}

impl fmt::Debug for Role {
    /// An external id is nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Role").field("arn", &self.arn).finish_non_exhaustive()
    }
}

/// [`defaults`](super::defaults), loaded from the environment, for another region and another role if they are given.
///
/// Without a role it is what [`load`](super::load) has loaded, in that region.
pub async fn load_as(region: Option<String>, role: Option<&Role>) -> SdkConfig {
    if role.is_some() {
        return load_from(super::defaults, region, role).await;
    }
    let config = super::load().await;
    match region {
        Some(region) => config.into_builder().region(Region::new(region)).build(),
        None => config,
    }
}

async fn load_from(defaults: impl Fn() -> ConfigLoader, region: Option<String>, role: Option<&Role>) -> SdkConfig {
    let mut loader = defaults();
    if let Some(role) = role {
        let own = defaults().load().await;
        loader = loader.credentials_provider(role.assumed_by(&own).await);
    }
    if let Some(region) = region {
        loader = loader.region(Region::new(region));
    }
    loader.load().await
}

#[cfg(all(test, feature = "dynamodb"))]
mod tests {
    use std::{
        sync::{Arc, Mutex},
        time::Duration,
    };

    use aws_sdk_dynamodb::Client;

    use super::*;
    use crate::aws::{AwsFailure, double};

    const ROLE: &str = "arn:aws:iam::210987654321:role/writer";

    const ASSUMED: &str = r#"<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
        <AssumedRoleUser><Arn>arn:aws:sts::210987654321:assumed-role/writer/anabranch</Arn>
        <AssumedRoleId>A:anabranch</AssumedRoleId></AssumedRoleUser>
        <Credentials><AccessKeyId>ASSUMED</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>
        <SessionToken>token</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>
        </AssumeRoleResult></AssumeRoleResponse>"#;

    const DENIED: &str = r#"<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>
        <Code>AccessDenied</Code><Message>not authorized to perform: sts:AssumeRole</Message></Error></ErrorResponse>"#;

    /// A client that acts as the role, behind a service that answers role requests like this, and what was asked of it.
    async fn acting(sts: (u16, &'static str)) -> (Client, Arc<Mutex<Vec<String>>>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let client = double::client(Duration::ZERO, move |request| {
            let header = |name| request.headers().get(name).unwrap_or_default();
            let form = str::from_utf8(request.body().bytes().unwrap_or_default()).unwrap_or_default();
            seen.lock().expect("no panic under the lock").push(format!(
                "{} {} {form}",
                request.uri(),
                header("authorization")
            ));
            match header("x-amz-target") {
                "" => (sts.0, sts.1.to_owned()),
                _ => (200, "{}".to_owned()),
            }
        });
        let defaults = || {
            let home = Region::new("eu-central-1");
            crate::aws::defaults().region(home).test_credentials().http_client(client.clone())
        };
        let role = Role::new(ROLE).external_id("id-7");
        let config = load_from(defaults, Some("us-east-2".into()), Some(&role)).await;
        (Client::new(&config), asked)
    }

    #[tokio::test]
    async fn requests_are_made_as_the_role_in_the_region_of_the_table() {
        let (client, asked) = acting((200, ASSUMED)).await;
        for _ in 0..2 {
            client.list_tables().send().await.unwrap();
        }
        let asked = asked.lock().unwrap().clone();
        assert_eq!(asked.len(), 3, "the role is assumed once");
        assert!(asked[0].contains("sts.eu-central-1") && asked[0].contains("Action=AssumeRole"), "{}", asked[0]);
        assert!(asked[0].contains("role%2Fwriter") && asked[0].contains("ExternalId=id-7"), "{}", asked[0]);
        assert!(asked[1].contains("us-east-2") && asked[1].contains("Credential=ASSUMED/"), "{}", asked[1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_role_that_cannot_be_assumed_is_a_failure_that_says_so() {
        let (client, _) = acting((403, DENIED)).await;
        let failure = AwsFailure::of(&client.list_tables().send().await.unwrap_err());
        assert!(failure.message.contains("not authorized to perform: sts:AssumeRole"), "{failure}");
    }

    #[test]
    fn external_ids_are_not_shown() {
        assert!(!format!("{:?}", Role::new(ROLE).external_id("id-7")).contains("id-7"));
    }
}
