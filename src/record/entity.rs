//! The name of an entity type.

/// A type of item with a name of its own, as single-table designs have them.
///
/// The name is what the router's discriminator finds: the value of an attribute such as `entityType`, or the
/// part of a key before its separator.
///
/// ```
/// use anabranch::record::Entity;
///
/// #[derive(serde::Deserialize)]
/// struct Pet { name: String }
///
/// impl Entity for Pet {
///     const NAME: &'static str = "PET";
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no entity name to route by",
    note = "implement `Entity` for it, or name the entity at the route: `.route(\"PET\", handler)`"
)]
pub trait Entity {
    /// The value of the discriminator for items of this type.
    const NAME: &'static str;
}
