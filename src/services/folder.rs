//! A folder of service configs, read as a whole.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::finding::Finding;
use super::service_file::{ServiceFile, read_service_file};
use super::template_file::{ENDING, read_template, template_name, template_row};
use crate::domain::names::Scid;
use crate::store::rows::{ServiceConfigRow, TemplateRow};

/// The folder of a service config that its templates are in.
const TEMPLATES: &str = "templates";
/// The file that says who may use a service config.
const SERVICE: &str = "service.toml";

/// What a services folder holds, and everything there is to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceFolder {
    /// The service configs, by folder.
    pub services: Vec<ServiceConfigRow>,
    /// The valid templates of these, by folder and file.
    pub templates: Vec<TemplateRow>,
    /// Findings, in the order of reading.
    pub report: Vec<Finding>,
    /// SHA-256, in hexadecimal, of the names and contents of all files that were read, and of which were valid: the same files mean
    /// something else to a service that knows other rules.
    pub hash: String,
}

impl ServiceFolder {
    /// The mistakes in the report.
    pub fn mistakes(&self) -> impl Iterator<Item = &Finding> {
        self.report.iter().filter(|finding| finding.fatal)
    }
}

/// Reads a services folder, the folder of one service config, or its folder of templates, whichever `dir` is.
///
/// # Errors
/// When `dir` itself cannot be read; what lies in it is reported.
pub fn read(dir: &Path) -> io::Result<ServiceFolder> {
    // Names like `.` do not say what they are.
    let full = fs::canonicalize(dir)?;
    let is_scid = |path: &Path| scid_of(path).is_ok();
    if is_scid(&full) || dir.join(TEMPLATES).is_dir() {
        read_service(if is_scid(&full) && !is_scid(dir) { &full } else { dir })
    } else if let Some(service) = full.parent().filter(|parent| file_name(&full) == TEMPLATES && is_scid(parent)) {
        read_service(service)
    } else {
        read_folder(dir)
    }
}

/// Reads a services folder.
///
/// # Errors
/// When `dir` itself cannot be read; what lies in it is reported.
pub fn read_folder(dir: &Path) -> io::Result<ServiceFolder> {
    let mut reader = Reader::new(dir);
    let mut folders = Vec::new();
    for path in entries(dir)? {
        if !path.is_dir() {
            reader.tell(Finding::remark(
                &path,
                "is ignored: a services folder holds a folder per service config, named by its scid",
            ));
            continue;
        }
        match scid_of(&path) {
            Ok(scid) => folders.push((scid, path)),
            Err(finding) => reader.tell(finding),
        }
    }
    if folders.is_empty() {
        reader.tell(Finding::remark(dir, "holds no service configs: make a folder for one, named by its scid"));
    }
    for (scid, path) in reader.without_twins(&folders, "this is the same scid as") {
        reader.service(&scid, &path);
    }
    Ok(reader.finish())
}

/// Reads the folder of one service config.
///
/// # Errors
/// When `dir` itself cannot be read; what lies in it is reported.
pub fn read_service(dir: &Path) -> io::Result<ServiceFolder> {
    entries(dir)?;
    let mut reader = Reader::new(dir);
    match scid_of(dir) {
        Ok(scid) => reader.service(&scid, dir),
        Err(finding) => reader.tell(finding),
    }
    Ok(reader.finish())
}

struct Reader<'a> {
    root: &'a Path,
    services: Vec<ServiceConfigRow>,
    templates: Vec<TemplateRow>,
    report: Vec<Finding>,
    digest: Sha256,
}

impl<'a> Reader<'a> {
    fn new(root: &'a Path) -> Self {
        Self { root, services: Vec::new(), templates: Vec::new(), report: Vec::new(), digest: Sha256::new() }
    }

    fn finish(self) -> ServiceFolder {
        let Self { services, templates, report, digest, .. } = self;
        let hash = digest.finalize().iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        ServiceFolder { services, templates, report, hash }
    }

    fn tell(&mut self, finding: Finding) {
        self.report.push(finding);
    }

    /// Takes a service config with its valid templates, unless it cannot be said who may use it.
    fn service(&mut self, scid: &Scid, dir: &Path) {
        self.note(dir, b"");
        let Some(paths) = self.entries(dir) else { return };
        let mut about = Some(ServiceFile::default());
        let mut templates = Vec::new();
        for path in paths {
            match file_name(&path) {
                SERVICE => about = self.text(&path).and_then(|text| read_service_file(&path, &text, &mut self.report)),
                TEMPLATES if path.is_dir() => templates = self.templates(scid, &path),
                _ => self
                    .tell(Finding::remark(&path, "is ignored: a service config has a folder templates and a file service.toml")),
            }
        }
        self.digest.update([u8::from(about.is_some())]);
        if let Some(ServiceFile { titles, game_types, throttle }) = about {
            self.services.push(ServiceConfigRow { scid: scid.id(), titles, game_types, throttle });
            self.templates.append(&mut templates);
        }
    }

    /// The valid templates in a folder.
    fn templates(&mut self, scid: &Scid, dir: &Path) -> Vec<TemplateRow> {
        let Some(paths) = self.entries(dir) else { return Vec::new() };
        let mut files = Vec::new();
        for path in paths {
            if path.extension().is_none_or(|ending| ending != ENDING) {
                self.tell(Finding::remark(&path, "is ignored: a template is a file called <TemplateName>.json"));
                continue;
            }
            match template_name(&path) {
                Ok(name) => files.push((name, path)),
                Err(finding) => self.tell(finding),
            }
        }
        if files.is_empty() {
            self.tell(Finding::remark(dir, "holds no templates: a template is a file called <TemplateName>.json"));
        }
        let mut rows = Vec::new();
        let why = "names of templates differ by more than case (T-05), and this one is also that of";
        for (name, path) in self.without_twins(&files, why) {
            let Some(text) = self.text(&path) else { continue };
            let (template, findings) = read_template(&path, name, &text);
            self.report.extend(findings);
            self.digest.update([u8::from(template.is_some())]);
            rows.extend(template.map(|template| template_row(scid, &template)));
        }
        rows
    }

    /// The paths whose names are unique. Of the others none is better than its twin, so none is taken.
    fn without_twins<N: PartialEq + Clone>(&mut self, paths: &[(N, PathBuf)], why: &str) -> Vec<(N, PathBuf)> {
        let mut unique = Vec::new();
        for (name, path) in paths {
            match paths.iter().find(|(other, twin)| other == name && twin != path) {
                Some((_, twin)) => self.tell(Finding::fatal(path, format!("{why} {}", twin.display()))),
                None => unique.push((name.clone(), path.clone())),
            }
        }
        unique
    }

    /// What lies in a folder; a finding when it cannot be read.
    fn entries(&mut self, dir: &Path) -> Option<Vec<PathBuf>> {
        let paths = entries(dir);
        paths.map_err(|error| self.tell(Finding::fatal(dir, format!("cannot be read: {error}")))).ok()
    }

    /// The content of a file; a finding when it cannot be read.
    fn text(&mut self, path: &Path) -> Option<Vec<u8>> {
        // Reading a pipe would wait for ever.
        let read = match fs::metadata(path) {
            Ok(found) if !found.is_file() => Err("is not a file".to_owned()),
            Ok(_) => fs::read(path).map_err(|error| format!("cannot be read: {error}")),
            Err(error) => Err(format!("cannot be read: {error}")),
        };
        match read {
            Ok(text) => {
                self.note(path, &text);
                Some(text)
            }
            Err(why) => {
                self.tell(Finding::fatal(path, why));
                None
            }
        }
    }

    /// Adds a name below the root, and a content, to the hash; their lengths keep them apart.
    fn note(&mut self, path: &Path, content: &[u8]) {
        let name = path.strip_prefix(self.root).unwrap_or(path).as_os_str().as_encoded_bytes();
        for part in [name, content] {
            self.digest.update((part.len() as u64).to_le_bytes());
            self.digest.update(part);
        }
    }
}

/// The service config a folder is named after.
fn scid_of(dir: &Path) -> Result<Scid, Finding> {
    Scid::parse(file_name(dir))
        .map_err(|error| Finding::fatal(dir, format!("the folder of a service config is named by its scid: {error} (S-12)")))
}

/// The last part of a path; empty when there is none, or when it is no text and so no name that is looked for.
fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// What lies in a folder, by name, but for what is hidden.
fn entries(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}
