//! The two sides of the session document, from one description: what answers say, and what requests may (W-10).
//!
//! In an answer nothing is `null`, but for the end of an administrators' list. In a request nothing is required, `null` takes a field away, unknown fields are refused (S-09),
//! and so is what only the service writes (S-10).

use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{
    AdditionalProperties, Array, ArrayItems, Object, ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type,
};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr};

use super::operations_of;

/// Schemas that requests send as a change of what is there. Whatever lies deeper is replaced as a whole (W-10).
const DELTAS: &[&str] = &[
    "Session",
    "Constants",
    "ConstantsSystem",
    "Properties",
    "PropertiesSystem",
    "RoleType",
    "Role",
    "Member",
    "MemberConstants",
    "MemberConstantsSystem",
    "MemberProperties",
    "MemberPropertiesSystem",
    "ServerEntry",
    "ServerBag",
];

/// Maps of which a request changes single entries, and takes one away by `null`.
const MAPS: &[(&str, &str)] = &[
    ("Session", "members"),
    ("Session", "servers"),
    ("Member", "roles"),
    ("MemberPropertiesSystem", "subscriptions"),
    ("MemberPropertiesSystem", "secondarySubscriptions"),
];

/// Schemas in which `null` is a value that means something.
pub const WITH_NULL: &[&str] = &["BanRequest", "ContinuationToken", "ServiceConfigRequest"];

/// Administrators' schemas that know no other fields.
const CLOSED: &[&str] =
    &["BanRequest", "ClockRequest", "FollowRequest", "PublishedGameType", "ServiceConfigRequest", "ThrottleNumbers"];

/// Takes away who writes a field, however deep: where each side is described by itself, that is said.
fn forget_writer(schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::Ref(reference) => (reference.read_only, reference.write_only) = (None, None),
        RefOr::T(Schema::Object(object)) => (object.read_only, object.write_only) = (None, None),
        RefOr::T(Schema::OneOf(one_of)) => (one_of.read_only, one_of.write_only) = (None, None),
        RefOr::T(_) => {}
    }
    inner(schema).into_iter().for_each(forget_writer);
}

/// Makes both sides of the schemas in [`DELTAS`]; the side of requests is named `…Delta`.
pub fn split(document: &mut OpenApi) {
    let Some(components) = &mut document.components else { return };
    for name in CLOSED {
        if let Some(RefOr::T(Schema::Object(object))) = components.schemas.get_mut(*name) {
            object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
        }
    }
    let mut deltas = Vec::new();
    for name in DELTAS {
        let Some(RefOr::T(Schema::Object(object))) = components.schemas.get_mut(*name) else {
            unreachable!("{name} is described as an object");
        };
        deltas.push((delta_name(name), RefOr::T(Schema::Object(delta(name, object.clone())))));
        drop_fields(object, |field| field.write_only);
    }
    let never_null = components.schemas.iter_mut().filter(|(name, _)| !WITH_NULL.contains(&name.as_str()));
    never_null.for_each(|(_, schema)| without_null(schema));
    components.schemas.extend(deltas);
    components.schemas.values_mut().for_each(forget_writer);
    document.paths.paths.values_mut().flat_map(operations_of).for_each(|operation| {
        for content in bodies(operation) {
            content.schema.iter_mut().for_each(to_delta);
            content.schema.iter_mut().for_each(without_null);
        }
        for parameter in operation.parameters.iter_mut().flatten() {
            if let RefOr::T(parameter) = parameter {
                parameter.schema.iter_mut().for_each(without_null);
            }
        }
    });
}

fn delta_name(name: &str) -> String {
    format!("{name}Delta")
}

fn bodies(operation: &mut Operation) -> impl Iterator<Item = &mut Content> {
    let body = operation.request_body.as_mut().and_then(|body| if let RefOr::T(body) = body { Some(body) } else { None });
    body.into_iter().flat_map(|body| body.content.values_mut()).filter_map(|content| match content {
        RefOr::T(content) => Some(content),
        RefOr::Ref(_) => None,
    })
}

/// Who writes a field.
struct Writer {
    read_only: bool,
    write_only: bool,
}

fn writer(schema: &RefOr<Schema>) -> Writer {
    let (read, write) = match schema {
        RefOr::Ref(reference) => (reference.read_only, reference.write_only),
        RefOr::T(Schema::Object(object)) => (object.read_only, object.write_only),
        RefOr::T(Schema::OneOf(one_of)) => (one_of.read_only, one_of.write_only),
        // A list has it at its items.
        RefOr::T(Schema::Array(Array { items: ArrayItems::RefOrSchema(item), .. })) => return writer(item),
        RefOr::T(_) => (None, None),
    };
    Writer { read_only: read == Some(true), write_only: write == Some(true) }
}

fn drop_fields(object: &mut Object, unwanted: impl Fn(&Writer) -> bool) {
    object.properties.retain(|_, schema| !unwanted(&writer(schema)));
    let properties = &object.properties;
    object.required.retain(|name| properties.contains_key(name));
}

/// The side of requests.
fn delta(name: &str, mut object: Object) -> Object {
    drop_fields(&mut object, |field| field.read_only);
    object.required.clear();
    object.properties.values_mut().for_each(to_delta);
    for (_, field) in MAPS.iter().filter(|(owner, _)| *owner == name) {
        if let Some(RefOr::T(Schema::Object(map))) = object.properties.get_mut(*field) {
            map.additional_properties = map.additional_properties.take().map(|entries| Box::new(or_null(*entries)));
        }
    }
    object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
    object
}

/// The entries of a map, or `null`.
fn or_null(entries: AdditionalProperties<Schema>) -> AdditionalProperties<Schema> {
    let AdditionalProperties::RefOr(entry) = entries else { return entries };
    let null = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Null));
    AdditionalProperties::RefOr(RefOr::T(Schema::OneOf(OneOfBuilder::new().item(null).item(entry).build())))
}

/// Points at the side of requests, however deep.
fn to_delta(schema: &mut RefOr<Schema>) {
    if let RefOr::Ref(reference) = schema {
        let name = reference.ref_location.rsplit('/').next().unwrap_or_default();
        if DELTAS.contains(&name) {
            reference.ref_location = Ref::from_schema_name(delta_name(name)).ref_location;
        }
    }
    inner(schema).into_iter().for_each(to_delta);
}

/// Takes away the choice of `null`, however deep.
fn without_null(schema: &mut RefOr<Schema>) {
    if let RefOr::T(Schema::OneOf(one_of)) = schema {
        one_of.items.retain(|item| !is_null(item));
        if let [_] = one_of.items.as_slice() {
            let description = one_of.description.take();
            let mut only = one_of.items.remove(0);
            if let (RefOr::Ref(reference), Some(description)) = (&mut only, description) {
                reference.description = description;
            }
            *schema = only;
        }
    }
    if let RefOr::T(Schema::Object(Object { schema_type, .. })) = schema {
        never_null(schema_type);
    }
    if let RefOr::T(Schema::Array(array)) = schema {
        never_null(&mut array.schema_type);
    }
    inner(schema).into_iter().for_each(without_null);
}

fn never_null(schema_type: &mut SchemaType) {
    if let SchemaType::Array(types) = schema_type {
        types.retain(|one| *one != Type::Null);
        if let [only] = types.as_slice() {
            *schema_type = SchemaType::Type(only.clone());
        }
    }
}

fn is_null(schema: &RefOr<Schema>) -> bool {
    matches!(schema, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null))
}

/// The schemas that a schema is made of.
fn inner(schema: &mut RefOr<Schema>) -> Vec<&mut RefOr<Schema>> {
    match schema {
        RefOr::T(Schema::Object(object)) => {
            let entries = object.additional_properties.as_deref_mut();
            let entries =
                entries.and_then(|entries| if let AdditionalProperties::RefOr(schema) = entries { Some(schema) } else { None });
            object.properties.values_mut().chain(entries).collect()
        }
        RefOr::T(Schema::Array(array)) => match &mut array.items {
            ArrayItems::RefOrSchema(item) => vec![item],
            ArrayItems::False => Vec::new(),
        },
        RefOr::T(Schema::OneOf(one_of)) => one_of.items.iter_mut().collect(),
        RefOr::T(Schema::AllOf(all_of)) => all_of.items.iter_mut().collect(),
        RefOr::T(Schema::AnyOf(any_of)) => any_of.items.iter_mut().collect(),
        _ => Vec::new(),
    }
}
