//! Service configs and session templates, as administrators see and publish them.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use actix_web::http::StatusCode;

use super::super::audit::{Why, audited};
use super::super::extract::body;
use super::super::openapi::administration::{Published, PublishedService, ServiceConfigList, ServiceConfigRequest};
use super::super::openapi::params::{DryRun, Reason, ServiceParts, TemplateParts};
use super::super::openapi::shapes::Template;
use super::super::parameters::Parameters;
use super::super::{Answer, ApiError, Call, reply};
use super::page;
use crate::directory::DirectoryError;
use crate::directory::catalog::Service;
use crate::domain::names::{Scid, TemplateName, TitleId};
use crate::domain::refusal::Refusal;
use crate::domain::throttle::Key;
use crate::json::{Json, Object};
use crate::services::{self, Finding};
use crate::store::ServicePut;
use crate::wire::request::read_body;

/// What findings call the document that was sent.
const BODY: &str = "body";
/// The longest name of a platform or package, in characters.
const NAME_MAX: usize = 256;

/// Lists all service configs with the names of their templates.
#[utoipa::path(get, path = "/admin/serviceconfigs", operation_id = "listServiceConfigs", tag = "administration",
    responses(
        (status = 200, description = "All of them, on one page", body = ServiceConfigList),
        (status = 400, description = "There are no parameters here"),
    ))]
pub fn list(call: &Call) -> Answer {
    Parameters::read(call.request.query_string(), &[])?;
    let catalog = call.service.directory.catalog();
    let mut scids = catalog.scids();
    scids.sort_unstable();
    let items = scids.into_iter().filter_map(|scid| catalog.find(scid).map(|service| about(&scid.to_string(), &service)));
    Ok(reply::value(StatusCode::OK, &page(items, None)).into())
}

fn about(scid: &str, service: &Service) -> Json {
    let mut fields = Object::with_capacity(4);
    fields.insert("scid".into(), scid.into());
    fields.insert("titles".into(), service.titles().iter().map(ToString::to_string).collect());
    fields.insert("gameTypes".into(), service.game_types().clone().into());
    fields.insert("throttle".into(), service.throttle().render().into());
    fields.insert("templates".into(), service.template_names().into_iter().collect());
    fields.into()
}

/// Makes a service config, or changes who may use it.
#[utoipa::path(put, path = "/admin/serviceconfigs/{scid}", operation_id = "publishServiceConfig", tag = "administration",
    params(ServiceParts, Reason),
    request_body = ServiceConfigRequest,
    responses(
        (status = 200, description = "Changed", body = PublishedService),
        (status = 201, description = "Made", body = PublishedService),
    ))]
pub async fn put_service(mut call: Call<'_>, scid: &str) -> Answer {
    let scid = Scid::parse(scid)?;
    let deed = Why::optional(&call)?.deed("service.put", service_path(&scid));
    let (mut titles, mut game_types, mut throttle) = (None, None, None);
    for (name, value) in &read_body(&body(&mut call).await?, call.service.rules.json_depth)? {
        match name.to_string().as_str() {
            "titles" => titles = Some(read_titles(value)?),
            "gameTypes" => game_types = Some(read_game_types(value)?),
            "throttle" => throttle = Some(read_throttle(value)?),
            name => {
                return Err(Refusal::invalid(name, "this field does not exist: there are titles, gameTypes and throttle").into());
            }
        }
    }
    let why = "is missing: a list of title ids is expected, an empty one for any title";
    let titles = titles.ok_or_else(|| Refusal::invalid("titles", why))?;
    let text = |object: Object| (!object.is_empty()).then(|| Json::Object(object).to_string());
    let put = ServicePut { scid: scid.id(), titles, game_types: game_types.map(text), throttle: throttle.map(text) };
    let deed = deed.with(detail(&put));
    let directory = Arc::clone(&call.service.directory);
    let published = audited(&call, deed, async move { directory.publish_service(&put).await }).await?;
    let status = if published.created { StatusCode::CREATED } else { StatusCode::OK };
    let mut fields = Object::with_capacity(2);
    fields.insert("scid".into(), scid.as_str().into());
    fields.insert("revision".into(), published.revision.cast_unsigned().into());
    Ok(reply::value(status, &fields.into()).into())
}

/// How the audit names a service config.
fn service_path(scid: &Scid) -> String {
    format!("/serviceconfigs/{}", scid.id())
}

/// What was given, for the audit; `null` where something is cleared.
fn detail(put: &ServicePut) -> String {
    let mut detail = format!("titles: {:?}", put.titles);
    for (name, given) in [("gameTypes", &put.game_types), ("throttle", &put.throttle)] {
        if let Some(value) = given {
            let _ = write!(detail, ", {name}: {}", value.as_deref().unwrap_or("null"));
        }
    }
    detail
}

fn read_titles(value: &Json) -> Result<Vec<u32>, Refusal> {
    let wrong = |at: String| Refusal::invalid(at, "an unsigned 32-bit decimal is expected, as a text or a number");
    let items = value.as_array().ok_or_else(|| Refusal::invalid("titles", "a list of title ids is expected"))?;
    let mut titles = Vec::with_capacity(items.len());
    for (at, item) in items.iter().enumerate() {
        titles.push(read_title(item).ok_or_else(|| wrong(format!("titles[{at}]")))?);
    }
    titles.sort_unstable();
    titles.dedup();
    Ok(titles)
}

fn read_title(value: &Json) -> Option<u32> {
    match value.as_str() {
        Some(text) => TitleId::parse(&text).ok().map(|title| title.0),
        None => value.as_u64().and_then(|number| u32::try_from(number).ok()),
    }
}

/// Reads rate limits, numbers by key (W-80); `null` for those of the installation.
fn read_throttle(value: &Json) -> Result<Object, Refusal> {
    let numbers = match value {
        Json::Null => return Ok(Object::new()),
        Json::Object(numbers) => numbers,
        _ => return Err(Refusal::invalid("throttle", "an object of numbers is expected, or null")),
    };
    for (name, value) in numbers {
        let at = format!("throttle.{name}");
        let key =
            Key::find(&name.to_string()).ok_or_else(|| Refusal::invalid(&at, "this field does not exist: see docs/limits.md"))?;
        let (least, most) = key.range();
        let number = value.as_u64().and_then(|number| key.take(number));
        number.ok_or_else(|| Refusal::invalid(&at, format!("a number from {least} to {most} is expected")))?;
    }
    Ok(numbers.clone())
}

/// Reads `{platform: {"titleId", "pfn", "boundPfns"}}`, in the form that handles show (H-33); `null` for none.
fn read_game_types(value: &Json) -> Result<Object, Refusal> {
    let platforms = match value {
        Json::Null => return Ok(Object::new()),
        Json::Object(platforms) => platforms,
        _ => return Err(Refusal::invalid("gameTypes", "an object by platform is expected, or null")),
    };
    let mut read = Object::with_capacity(platforms.len());
    for (platform, about) in platforms {
        let at = format!("gameTypes.{platform}");
        if !platform.decode().is_some_and(|name| !name.is_empty() && is_short(&name)) {
            return Err(Refusal::invalid(at, format!("a platform's name has 1 to {NAME_MAX} characters")));
        }
        let fields = about.as_object().ok_or_else(|| Refusal::invalid(&at, "an object is expected"))?;
        let (mut title_id, mut pfn, mut bound) = (None, String::new(), Vec::new());
        for (name, value) in fields {
            let at = format!("{at}.{name}");
            match name.to_string().as_str() {
                "titleId" => title_id = Some(read_title(value).ok_or_else(|| Refusal::invalid(&at, "a title id is expected"))?),
                "pfn" => pfn = read_package(&at, value)?,
                "boundPfns" => {
                    let items = value.as_array().ok_or_else(|| Refusal::invalid(&at, "a list is expected"))?;
                    bound = items.iter().map(|item| read_package(&at, item)).collect::<Result<_, _>>()?;
                }
                _ => return Err(Refusal::invalid(at, "this field does not exist: there are titleId, pfn and boundPfns")),
            }
        }
        let title_id = title_id.ok_or_else(|| Refusal::invalid(format!("{at}.titleId"), "is missing"))?;
        let mut one = Object::with_capacity(3);
        one.insert("titleId".into(), title_id.to_string().into());
        one.insert("pfn".into(), pfn.into());
        one.insert("boundPfns".into(), bound.into_iter().collect());
        read.insert(platform.clone(), one.into());
    }
    Ok(read)
}

fn read_package(at: &str, value: &Json) -> Result<String, Refusal> {
    let text = value.as_str().filter(|text| is_short(text));
    text.map(std::borrow::Cow::into_owned)
        .ok_or_else(|| Refusal::invalid(at, format!("a package family name of at most {NAME_MAX} characters is expected")))
}

fn is_short(text: &str) -> bool {
    text.chars().count() <= NAME_MAX && !text.contains('\0')
}

/// Reads a template of any service config, as it was published.
#[utoipa::path(get, path = "/admin/serviceconfigs/{scid}/sessiontemplates/{template}", operation_id = "readPublishedTemplate",
    tag = "administration",
    params(TemplateParts),
    responses(
        (status = 200, description = "The template (T-02)", body = Template),
        (status = 400, description = "There are no parameters here"),
    ))]
pub fn read_template(call: &Call, scid: &str, name: &str) -> Answer {
    let (scid, name) = (Scid::parse(scid)?, TemplateName::parse(name)?);
    Parameters::read(call.request.query_string(), &[])?;
    let service = find(call, &scid)?;
    Ok(reply::value(StatusCode::OK, service.template(name.as_str())?.published()).into())
}

fn find(call: &Call, scid: &Scid) -> Result<Arc<Service>, ApiError> {
    let found = call.service.directory.catalog().find(scid.id());
    Ok(found.ok_or_else(|| DirectoryError::UnknownService(scid.as_str().to_owned()))?)
}

/// Publishes a template, or only judges it.
///
/// It is used from then on for sessions that are made; those that exist keep what they were made from.
#[utoipa::path(put, path = "/admin/serviceconfigs/{scid}/sessiontemplates/{template}", operation_id = "publishTemplate",
    tag = "administration",
    params(TemplateParts, DryRun, Reason),
    request_body = Template,
    responses(
        (status = 200, description = "It can be served, and is unless it was only judged", body = Published),
        (status = 400, description = "It cannot be served: the findings, one a line (T-08); or a parameter is wrong"),
    ))]
pub async fn put_template(mut call: Call<'_>, scid: &str, name: &str) -> Answer {
    let (scid, name) = (Scid::parse(scid)?, TemplateName::parse(name)?);
    let given = Parameters::read(call.request.query_string(), &["reason", "dryRun"])?;
    let deed = Why::among(&given)?.deed("template.put", format!("{}/sessiontemplates/{name}", service_path(&scid)));
    let dry = given.flag("dryRun")?.unwrap_or(false);
    let text = body(&mut call).await?;
    let (template, report) = services::read_template(Path::new(BODY), name, &text);
    let lines: Vec<String> = report.iter().map(line).collect();
    let Some(template) = template else { return Err(ApiError::BadRequest(lines.join("\n"))) };
    let mut fields = Object::with_capacity(2);
    fields.insert("remarks".into(), lines.into_iter().collect());
    if dry {
        return Ok(reply::value(StatusCode::OK, &fields.into()).into());
    }
    let row = services::template_row(&scid, &template);
    let directory = Arc::clone(&call.service.directory);
    let revision = audited(&call, deed, async move { directory.publish_template(&row).await }).await?;
    fields.insert("revision".into(), revision.cast_unsigned().into());
    Ok(reply::value(StatusCode::OK, &fields.into()).into())
}

/// A finding as `openmpsd template lint` prints it.
fn line(finding: &Finding) -> String {
    format!("{}: {finding}", if finding.fatal { "mistake" } else { "remark" })
}
