//! The service configs and templates in memory: what exists, and who may use it (A-02, T-08).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, RwLock};

use tracing::{error, info, warn};
use uuid::Uuid;

use super::DirectoryError;
use crate::domain::names::{Scid, TemplateName, TitleId};
use crate::domain::principal::{Principal, User};
use crate::domain::refusal::Refusal;
use crate::domain::template::Template;
use crate::domain::throttle::{Numbers, Overrides};
use crate::json::{self, Json, Object, STORED_DEPTH};
use crate::store::{Store, StoreError};

/// A service config.
#[derive(Debug, Default)]
pub struct Service {
    titles: Vec<TitleId>,
    /// What its title is called on each platform; empty when nothing is configured.
    game_types: Object,
    /// How often users may call, where it differs from the installation (W-80).
    throttle: Overrides,
    /// By lower-case name.
    templates: BTreeMap<String, Arc<Template>>,
}

/// Service configs by their scid.
type Services = HashMap<Uuid, Arc<Service>>;

/// All service configs as of one revision, replaced as a whole when the database has another.
#[derive(Debug, Default)]
pub struct Catalog {
    current: RwLock<(i64, Arc<Services>)>,
    /// One at a time reads it: what was read later is never replaced by what was read earlier.
    reading: tokio::sync::Mutex<()>,
}

impl Service {
    /// Whether the title a user plays may use it.
    fn takes(&self, user: &User) -> bool {
        self.titles.is_empty() || user.title_id.is_some_and(|title| self.titles.contains(&title))
    }

    /// Finds a template.
    ///
    /// # Errors
    /// 404 when there is none of that name.
    pub fn template(&self, name: &str) -> Result<&Arc<Template>, DirectoryError> {
        self.templates.get(&name.to_ascii_lowercase()).ok_or_else(|| DirectoryError::UnknownTemplate(name.to_owned()))
    }

    /// The titles that may use it; none means any.
    #[must_use]
    pub fn titles(&self) -> &[TitleId] {
        &self.titles
    }

    /// What its title is called on each platform: an object of `{"titleId", "pfn", "boundPfns"}` by platform, `{}` when nothing is
    /// configured (H-33).
    #[must_use]
    pub fn game_types(&self) -> &Object {
        &self.game_types
    }

    /// Rate limits that differ from the installation's (W-80).
    #[must_use]
    pub fn throttle(&self) -> &Overrides {
        &self.throttle
    }

    /// The names of its templates in their published case, sorted (T-03).
    #[must_use]
    pub fn template_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.templates.values().map(|template| template.name.as_str()).collect();
        names.sort_unstable();
        names
    }
}

impl Catalog {
    /// Finds a service config for a caller.
    ///
    /// # Errors
    /// 404 when it does not exist; 403 when the caller's title may not use it, when a server's credential does not name it
    /// and for administrators.
    pub fn service(&self, scid: &Scid, principal: &Principal) -> Result<Arc<Service>, DirectoryError> {
        let services = self.current.read().expect("nobody panics while holding the catalog").1.clone();
        let Some(service) = services.get(&scid.id()) else {
            return Err(DirectoryError::UnknownService(scid.as_str().to_owned()));
        };
        let allowed = match principal {
            Principal::User(user) => service.takes(user),
            Principal::Server(_) => principal.is_server_for(scid),
            // A server without rights of its own calls as its users do.
            Principal::ServerFor(acting) => {
                acting.server.scids.contains(scid) && (acting.manages || acting.users.iter().all(|user| service.takes(user)))
            }
            Principal::Admin { .. } => false,
        };
        if allowed {
            Ok(service.clone())
        } else {
            Err(Refusal::forbidden(
                "the service config cannot be accessed by this caller: its titles or the credential's scids do not allow it",
            )
            .into())
        }
    }

    /// How often users may call in a service config, if it says so itself instead of the installation (W-80).
    #[must_use]
    pub fn numbers(&self, scid: &Scid, installation: &Numbers) -> Option<Numbers> {
        let current = self.current.read().expect("nobody panics while holding the catalog");
        let overrides = &current.1.get(&scid.id())?.throttle;
        (!overrides.is_empty()).then(|| overrides.over(installation))
    }

    /// Finds a service config, for whoever may see all of them.
    #[must_use]
    pub fn find(&self, scid: Uuid) -> Option<Arc<Service>> {
        self.current.read().expect("nobody panics while holding the catalog").1.get(&scid).cloned()
    }

    /// The service configs there are.
    #[must_use]
    pub fn scids(&self) -> Vec<Uuid> {
        self.current.read().expect("nobody panics while holding the catalog").1.keys().copied().collect()
    }

    /// Reads the catalog again if the database has another revision than the one in memory.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    pub async fn refresh(&self, store: &Store) -> Result<(), StoreError> {
        let _alone = self.reading.lock().await;
        let known = self.current.read().expect("nobody panics while holding the catalog").0;
        if store.catalog_revision().await? == known {
            return Ok(());
        }
        let stored = store.load_catalog().await?;
        let mut services: HashMap<Uuid, Service> = HashMap::new();
        for row in stored.services {
            let service = services.entry(row.scid).or_default();
            service.titles = row.titles.into_iter().map(TitleId).collect();
            match row.game_types.map(|text| json::parse(text.as_bytes(), STORED_DEPTH)) {
                None => {}
                Some(Ok(Json::Object(game_types))) => service.game_types = game_types,
                Some(_) => error!(session.scid = %row.scid, "stored game types are malformed and not shown"),
            }
            if let Some(text) = row.throttle {
                service.throttle = throttle(&text).unwrap_or_else(|| {
                    error!(session.scid = %row.scid, "stored rate limits are malformed: those of the installation hold");
                    Overrides::default()
                });
            }
        }
        for row in stored.templates {
            let name = TemplateName::parse(&row.name);
            let document = json::parse(row.document.as_bytes(), STORED_DEPTH);
            let (Ok(name), Ok(document)) = (name, document) else {
                error!(session.scid = %row.scid, session.template = row.name, "stored template is malformed and not served");
                continue;
            };
            match Template::read(name, &document) {
                Ok((template, _)) => {
                    let service = services.entry(row.scid).or_default();
                    service.templates.insert(template.name.key(), Arc::new(template));
                }
                Err(remarks) => {
                    warn!(session.scid = %row.scid, session.template = row.name, ?remarks, "stored template is invalid and not served");
                }
            }
        }
        let count: usize = services.values().map(|service| service.templates.len()).sum();
        info!(revision = stored.revision, "serving {} service configs with {count} templates", services.len());
        let services = services.into_iter().map(|(scid, service)| (scid, Arc::new(service))).collect();
        *self.current.write().expect("nobody panics while holding the catalog") = (stored.revision, Arc::new(services));
        Ok(())
    }
}

fn throttle(stored: &str) -> Option<Overrides> {
    match json::parse(stored.as_bytes(), STORED_DEPTH) {
        Ok(Json::Object(numbers)) => Overrides::read(&numbers),
        _ => None,
    }
}
