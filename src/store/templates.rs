//! Service configs and session templates: read as a whole, imported and published. The database is the truth; instances read it again
//! when its revision moves.

use sqlx::{PgConnection, Row as _};
use tracing::instrument;
use uuid::Uuid;

use super::columns::Slices;
use super::decode::title_id_from_column;
use super::migrate::SCHEMA_LOCK;
use super::rows::{ServiceConfigRow, TemplateRow};
use super::{Store, StoreError};

/// All service configs and templates, as of one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalog {
    /// Rises with every import and publication.
    pub revision: i64,
    /// The hash of the files that were imported last.
    pub source_hash: Option<String>,
    /// By scid.
    pub services: Vec<ServiceConfigRow>,
    /// By scid and name.
    pub templates: Vec<TemplateRow>,
}

/// What became of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Import {
    /// The catalog was made from these files already.
    Unchanged,
    /// The catalog has this revision now.
    Imported(i64),
}

/// A service config as an administrator puts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePut {
    /// Its id.
    pub scid: Uuid,
    /// The titles that may use it; none means any.
    pub titles: Vec<u32>,
    /// What its title is called by platform, as JSON, or nothing of that; not given, it stays.
    pub game_types: Option<Option<String>>,
    /// Rate limits of its own, as JSON, or none; not given, they stay.
    pub throttle: Option<Option<String>>,
}

/// What became of a service config that was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServicePublication {
    /// The catalog has this revision now.
    pub revision: i64,
    /// Whether there was none.
    pub created: bool,
}

/// What became of a publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Publication {
    /// There is no such service config.
    UnknownServiceConfig,
    /// The catalog has this revision now.
    Published(i64),
}

impl Store {
    /// The revision of the catalog, to be compared with the one that was read.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    pub async fn catalog_revision(&self) -> Result<i64, StoreError> {
        Ok(sqlx::query(include_str!("sql/catalog_revision.sql")).fetch_one(&self.pool).await?.try_get("revision")?)
    }

    /// Loads all service configs and templates, consistent with the revision they come with.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.catalog.load", level = "debug", skip_all)]
    pub async fn load_catalog(&self) -> Result<Catalog, StoreError> {
        let mut snapshot = self.pool.begin_with("begin isolation level repeatable read read only").await?;
        let catalog = sqlx::query(include_str!("sql/catalog_revision.sql")).fetch_one(&mut *snapshot).await?;
        let services = sqlx::query(include_str!("sql/load_service_configs.sql")).fetch_all(&mut *snapshot).await?;
        let templates = sqlx::query(include_str!("sql/load_session_templates.sql")).fetch_all(&mut *snapshot).await?;
        snapshot.commit().await?;
        Ok(Catalog {
            revision: catalog.try_get("revision")?,
            source_hash: catalog.try_get("source_hash")?,
            services: services
                .iter()
                .map(|row| {
                    let titles: Vec<i64> = row.try_get("titles")?;
                    let titles = titles.into_iter().map(title_id_from_column).collect::<Result<_, _>>()?;
                    Ok(ServiceConfigRow {
                        scid: row.try_get("scid")?,
                        titles,
                        game_types: row.try_get("game_types")?,
                        throttle: row.try_get("throttle")?,
                    })
                })
                .collect::<Result<_, sqlx::Error>>()?,
            templates: templates
                .iter()
                .map(|row| {
                    Ok(TemplateRow {
                        scid: row.try_get("scid")?,
                        name: row.try_get("name")?,
                        contract_version: row.try_get("contract_version")?,
                        document: row.try_get("document")?,
                    })
                })
                .collect::<Result<_, sqlx::Error>>()?,
        })
    }

    /// Imports service configs and templates, unless the catalog was made from files of the same hash. What is not among them stays.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.catalog.import", level = "debug", skip_all)]
    pub async fn import_catalog(
        &self,
        services: &[ServiceConfigRow],
        templates: &[TemplateRow],
        source_hash: &str,
    ) -> Result<Import, StoreError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query(include_str!("sql/lock_catalog.sql")).bind(SCHEMA_LOCK).execute(&mut *transaction).await?;
        let catalog = sqlx::query(include_str!("sql/catalog_revision.sql")).fetch_one(&mut *transaction).await?;
        if catalog.try_get::<Option<&str>, _>("source_hash")? == Some(source_hash) {
            return Ok(Import::Unchanged);
        }
        let revision = raise_revision(&mut transaction, Some(source_hash)).await?;
        put_service_configs(&mut transaction, services, Some(source_hash), revision).await?;
        put_templates(&mut transaction, templates, revision).await?;
        transaction.commit().await?;
        Ok(Import::Imported(revision))
    }

    /// Publishes service configs with their templates, in place of the former ones of these names, and returns the revision of the
    /// catalog. It does not count as an import: the next import still goes by the files imported last.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.catalog.publish_services", level = "debug", skip_all)]
    pub async fn publish_services(&self, services: &[ServiceConfigRow], templates: &[TemplateRow]) -> Result<i64, StoreError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query(include_str!("sql/lock_catalog.sql")).bind(SCHEMA_LOCK).execute(&mut *transaction).await?;
        let revision = raise_revision(&mut transaction, None).await?;
        put_service_configs(&mut transaction, services, None, revision).await?;
        put_templates(&mut transaction, templates, revision).await?;
        transaction.commit().await?;
        Ok(revision)
    }

    /// Makes a service config, or changes one: what is not given stays as it is stored.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.catalog.publish_service", level = "debug", skip_all)]
    pub async fn publish_service(&self, put: &ServicePut) -> Result<ServicePublication, StoreError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query(include_str!("sql/lock_catalog.sql")).bind(SCHEMA_LOCK).execute(&mut *transaction).await?;
        let known =
            sqlx::query(include_str!("sql/find_service_config.sql")).bind(put.scid).fetch_optional(&mut *transaction).await?;
        let revision = raise_revision(&mut transaction, None).await?;
        sqlx::query(include_str!("sql/put_service_config.sql"))
            .bind(put.scid)
            .bind(put.titles.iter().copied().map(i64::from).collect::<Vec<_>>())
            .bind(revision)
            .bind(put.game_types.is_some())
            .bind(put.game_types.iter().flatten().next())
            .bind(put.throttle.is_some())
            .bind(put.throttle.iter().flatten().next())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(ServicePublication { revision, created: known.is_none() })
    }

    /// Publishes one template, in place of the former one of that name.
    ///
    /// # Errors
    /// `Unavailable`, `Database`.
    #[instrument(name = "db.catalog.publish", level = "debug", skip_all)]
    pub async fn publish_template(&self, template: &TemplateRow) -> Result<Publication, StoreError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query(include_str!("sql/lock_catalog.sql")).bind(SCHEMA_LOCK).execute(&mut *transaction).await?;
        let service = sqlx::query(include_str!("sql/find_service_config.sql"))
            .bind(template.scid)
            .fetch_optional(&mut *transaction)
            .await?;
        if service.is_none() {
            return Ok(Publication::UnknownServiceConfig);
        }
        let revision = raise_revision(&mut transaction, None).await?;
        put_templates(&mut transaction, std::slice::from_ref(template), revision).await?;
        transaction.commit().await?;
        Ok(Publication::Published(revision))
    }
}

async fn raise_revision(connection: &mut PgConnection, source_hash: Option<&str>) -> Result<i64, sqlx::Error> {
    let row = sqlx::query(include_str!("sql/raise_catalog_revision.sql")).bind(source_hash).fetch_one(connection).await?;
    row.try_get("revision")
}

async fn put_service_configs(
    connection: &mut PgConnection,
    services: &[ServiceConfigRow],
    source_hash: Option<&str>,
    revision: i64,
) -> Result<(), sqlx::Error> {
    let mut titles: Vec<i64> = Vec::new();
    let mut slices = Slices::default();
    for service in services {
        titles.extend(service.titles.iter().copied().map(i64::from));
        slices.end_at(titles.len());
    }
    sqlx::query(include_str!("sql/put_service_configs.sql"))
        .bind(services.iter().map(|service| service.scid).collect::<Vec<Uuid>>())
        .bind(slices.first)
        .bind(slices.last)
        .bind(titles)
        .bind(source_hash)
        .bind(revision)
        .bind(services.iter().map(|service| service.game_types.as_deref()).collect::<Vec<_>>())
        .bind(services.iter().map(|service| service.throttle.as_deref()).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

async fn put_templates(connection: &mut PgConnection, templates: &[TemplateRow], revision: i64) -> Result<(), sqlx::Error> {
    let keys: Vec<String> = templates.iter().map(|template| template.name.to_ascii_lowercase()).collect();
    sqlx::query(include_str!("sql/put_session_templates.sql"))
        .bind(templates.iter().map(|template| template.scid).collect::<Vec<Uuid>>())
        .bind(keys)
        .bind(templates.iter().map(|template| template.name.as_str()).collect::<Vec<_>>())
        .bind(templates.iter().map(|template| template.contract_version).collect::<Vec<_>>())
        .bind(templates.iter().map(|template| template.document.as_str()).collect::<Vec<_>>())
        .bind(revision)
        .execute(connection)
        .await?;
    Ok(())
}
