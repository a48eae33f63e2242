//! Acting as somebody else: in another account, for example.

use std::{fmt, time::SystemTime};

use aws_config::{Region, SdkConfig};
use aws_credential_types::{
    Credentials,
    attributes::AccountId,
    provider::{
        ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future::ProvideCredentials as Provided,
    },
};
use aws_sdk_sts::operation::assume_role::builders::AssumeRoleFluentBuilder;

use super::AwsFailure;

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

    fn assumed_by(&self, own: &SdkConfig) -> Assumed {
        let request = aws_sdk_sts::Client::new(own).assume_role().role_arn(&self.arn).role_session_name(SESSION);
        Assumed { role: self.clone(), request: request.set_external_id(self.external_id.clone()) }
    }
}

impl fmt::Debug for Role {
    /// An external id is nobody's business.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Role").field("arn", &self.arn).finish_non_exhaustive()
    }
}

/// A role's credentials, which the SDK asks for before those that it has expire.
struct Assumed {
    role: Role,
    request: AssumeRoleFluentBuilder,
}

impl Assumed {
    async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        let answer = self.request.clone().send().await;
        let answer = answer.map_err(|error| CredentialsError::provider_error(AwsFailure::of(&error).to_string()))?;
        let user = answer.assumed_role_user().map(|user| user.arn());
        let given = answer.credentials().ok_or_else(|| CredentialsError::unhandled("a role without credentials"))?;
        let expiry = SystemTime::try_from(*given.expiration()).map_err(CredentialsError::unhandled)?;
        let mut credentials = Credentials::builder()
            .access_key_id(given.access_key_id())
            .secret_access_key(given.secret_access_key())
            .session_token(given.session_token())
            .expiry(expiry)
            .provider_name("AssumeRole");
        credentials.set_account_id(user.and_then(|arn| arn.split(':').nth(4)).map(AccountId::from));
        Ok(credentials.build())
    }
}

impl ProvideCredentials for Assumed {
    fn provide_credentials<'a>(&'a self) -> Provided<'a>
    where
        Self: 'a,
    {
        Provided::new(self.credentials())
    }
}

impl fmt::Debug for Assumed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Assumed").field(&self.role).finish()
    }
}

/// What [`load`](super::load) has loaded, for another region if one is given.
pub async fn load_in(region: Option<String>) -> SdkConfig {
    within(super::load().await, region)
}

/// The same, with the credentials of another role.
pub async fn load_as(region: Option<String>, role: &Role) -> SdkConfig {
    acting(super::load().await, region, role)
}

fn acting(own: SdkConfig, region: Option<String>, role: &Role) -> SdkConfig {
    let credentials = SharedCredentialsProvider::new(role.assumed_by(&own));
    within(own.into_builder().credentials_provider(credentials).build(), region)
}

fn within(config: SdkConfig, region: Option<String>) -> SdkConfig {
    match region {
        Some(region) => config.into_builder().region(Region::new(region)).build(),
        None => config,
    }
}

#[cfg(all(test, feature = "dynamodb"))]
mod tests {
    use std::{
        sync::{Arc, Mutex},
        time::Duration,
    };

    use aws_sdk_dynamodb::Client;

    use super::*;
    use crate::aws::double;

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
    async fn client(sts: (u16, &'static str)) -> (Client, Arc<Mutex<Vec<String>>>) {
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
        let own = crate::aws::defaults().region(Region::new("eu-central-1")).test_credentials().http_client(client);
        let role = Role::new(ROLE).external_id("id-7");
        let config = acting(own.load().await, Some("us-east-2".into()), &role);
        (Client::new(&config), asked)
    }

    #[tokio::test]
    async fn requests_are_made_as_the_role_in_the_region_of_the_table() {
        let (client, asked) = client((200, ASSUMED)).await;
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
        let (client, _) = client((403, DENIED)).await;
        let failure = AwsFailure::of(&client.list_tables().send().await.unwrap_err());
        assert!(failure.message.contains("not authorized to perform: sts:AssumeRole"), "{failure}");
    }

    #[test]
    fn external_ids_are_not_shown() {
        let role = Role::new(ROLE).external_id("id-7");
        let own = SdkConfig::builder().behavior_version(crate::aws::behavior()).build();
        assert!(!format!("{role:?} {:?}", role.assumed_by(&own)).contains("id-7"));
    }
}
