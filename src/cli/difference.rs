//! How service configs and templates in files differ from what is published, in a database or by a running service.

use std::collections::BTreeMap;

use anyhow::Context;
use reqwest::Method;
use uuid::Uuid;

use super::remote::Remote;
use crate::json::{self, Json, Object, STORED_DEPTH};
use crate::store::Catalog;
use crate::store::rows::{ServiceConfigRow, TemplateRow};

/// What is published.
#[derive(Debug, Default)]
pub struct Published {
    /// What is said of service configs, by scid.
    services: BTreeMap<Uuid, Json>,
    /// Templates by scid and lower-case name, each with its name.
    templates: BTreeMap<(Uuid, String), (String, Json)>,
}

impl Published {
    /// All of a database.
    pub fn of_catalog(catalog: &Catalog) -> anyhow::Result<Self> {
        let mut published = Self::default();
        for row in &catalog.services {
            published.services.insert(row.scid, about(row)?);
        }
        for row in &catalog.templates {
            let document = parse(&row.document).with_context(|| format!("the published template {} cannot be read", row.name))?;
            published.templates.insert((row.scid, row.name.to_ascii_lowercase()), (row.name.clone(), document));
        }
        Ok(published)
    }

    /// What a running service has of these service configs.
    pub async fn of_service(remote: &Remote, scids: &[Uuid]) -> anyhow::Result<Self> {
        let mut published = Self::default();
        let all = remote.send(Method::GET, "/admin/serviceconfigs", &Vec::new(), None).await?;
        for item in all.get("items").and_then(Json::as_array).unwrap_or_default() {
            let scid = item.get("scid").and_then(Json::as_str).and_then(|scid| Uuid::parse_str(&scid).ok());
            let Some(scid) = scid.filter(|scid| scids.contains(scid)) else { continue };
            let field = |name: &str| item.get(name).cloned().unwrap_or(Json::Null);
            published.services.insert(scid, described(field("titles"), field("gameTypes"), field("throttle")));
            for name in item.get("templates").and_then(Json::as_array).unwrap_or_default().iter().filter_map(Json::as_str) {
                let path = format!("/admin/serviceconfigs/{scid}/sessiontemplates/{name}");
                let document = remote.send(Method::GET, &path, &Vec::new(), None).await?;
                published.templates.insert((scid, name.to_ascii_lowercase()), (name.into_owned(), document));
            }
        }
        Ok(published)
    }

    /// How files differ from it, a line each. Templates that only are published are told where a whole service config is compared.
    pub fn differences(&self, services: &[ServiceConfigRow], templates: &[TemplateRow]) -> anyhow::Result<Vec<String>> {
        let mut lines = Vec::new();
        for service in services {
            match self.services.get(&service.scid) {
                None => lines.push(format!("{}: is not published", service.scid)),
                Some(there) => compare("", Some(there), Some(&about(service)?), &format!("{}: ", service.scid), &mut lines),
            }
        }
        for template in templates {
            let title = format!("{}/{}", template.scid, template.name);
            let given = parse(&template.document)?;
            match self.templates.get(&(template.scid, template.name.to_ascii_lowercase())) {
                None => lines.push(format!("{title}: is not published")),
                Some((name, there)) => {
                    if *name != template.name {
                        lines.push(format!("{title}: is published as {name}"));
                    }
                    compare("", Some(there), Some(&given), &format!("{title}: "), &mut lines);
                }
            }
        }
        for ((scid, key), (name, _)) in &self.templates {
            let is_given = templates.iter().any(|one| one.scid == *scid && one.name.eq_ignore_ascii_case(key));
            if !is_given && services.iter().any(|service| service.scid == *scid) {
                lines.push(format!("{scid}/{name}: is published, and not in the folder"));
            }
        }
        Ok(lines)
    }
}

fn parse(text: &str) -> anyhow::Result<Json> {
    json::parse(text.as_bytes(), STORED_DEPTH).map_err(|error| anyhow::anyhow!("{}", error.why))
}

/// What a row says of a service config beside its templates, as a running service says it.
pub fn about(row: &ServiceConfigRow) -> anyhow::Result<Json> {
    let titles = row.titles.iter().map(ToString::to_string).collect();
    let game_types = row.game_types.as_deref().map(parse).transpose()?.unwrap_or_else(Json::object);
    let throttle = row.throttle.as_deref().map(parse).transpose()?.unwrap_or_else(Json::object);
    Ok(described(titles, game_types, throttle))
}

fn described(titles: Json, game_types: Json, throttle: Json) -> Json {
    let mut fields = Object::with_capacity(3);
    fields.insert("titles".into(), titles);
    fields.insert("gameTypes".into(), game_types);
    fields.insert("throttle".into(), throttle);
    fields.into()
}

/// Tells every field that is different, by its path, as it was and as it would be.
fn compare(at: &str, there: Option<&Json>, given: Option<&Json>, title: &str, lines: &mut Vec<String>) {
    match (there, given) {
        (Some(there), Some(given)) if there == given => {}
        (Some(Json::Object(there)), Some(Json::Object(given))) => {
            let path = |name: &json::Text| if at.is_empty() { name.to_string() } else { format!("{at}.{name}") };
            for (name, value) in there {
                compare(&path(name), Some(value), given.get(name), title, lines);
            }
            for (name, value) in given.iter().filter(|(name, _)| !there.contains_key(*name)) {
                compare(&path(name), None, Some(value), title, lines);
            }
        }
        (there, given) => {
            let shown = |value: Option<&Json>| value.map_or_else(|| "nothing".to_owned(), ToString::to_string);
            lines.push(format!("{title}{at}: {} -> {}", shown(there), shown(given)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(name: &str, document: &str) -> TemplateRow {
        TemplateRow { scid: Uuid::nil(), name: name.to_owned(), contract_version: 107, document: document.to_owned() }
    }

    #[test]
    fn every_field_that_differs_is_told_by_its_path() {
        let service =
            |titles: &[u32]| ServiceConfigRow { scid: Uuid::nil(), titles: titles.to_vec(), game_types: None, throttle: None };
        let there = [
            template("Card", r#"{"constants":{"system":{"version":1,"maxMembersCount":8}},"custom":[1]}"#),
            template("Gone", "{}"),
        ];
        let catalog = Catalog { revision: 1, source_hash: None, services: vec![service(&[7])], templates: there.to_vec() };
        let published = Published::of_catalog(&catalog).unwrap();
        assert_eq!(published.differences(&[service(&[7])], &there).unwrap(), Vec::<String>::new());

        let given = [
            template("card", r#"{"custom":[1],"constants":{"system":{"maxMembersCount":16,"visibility":"open"}}}"#),
            template("New", "{}"),
        ];
        let scid = Uuid::nil();
        let told = published.differences(&[service(&[])], &given).unwrap();
        let expected = [
            format!(r#"{scid}: titles: ["7"] -> []"#),
            format!("{scid}/card: is published as Card"),
            format!("{scid}/card: constants.system.version: 1 -> nothing"),
            format!("{scid}/card: constants.system.maxMembersCount: 8 -> 16"),
            format!(r#"{scid}/card: constants.system.visibility: nothing -> "open""#),
            format!("{scid}/New: is not published"),
            format!("{scid}/Gone: is published, and not in the folder"),
        ];
        assert_eq!(told, expected);
        // A file alone says nothing about its neighbours.
        assert_eq!(published.differences(&[], &there[..1]).unwrap(), Vec::<String>::new());
    }
}
