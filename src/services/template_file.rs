//! One template in one file.

use std::path::Path;

use super::finding::{Finding, Position};
use crate::domain::names::{Scid, TemplateName};
use crate::domain::template::{Remark, Template};
use crate::json;
use crate::store::rows::TemplateRow;

/// How deep a template may nest: as deep as a request, since its constants go into sessions (S-95).
const DEPTH: usize = 32;

/// The file ending of templates.
pub(super) const ENDING: &str = "json";

/// Reads the text of a template file and says everything there is to say about it.
///
/// `None` when the template cannot be served (T-08): at least one finding is fatal then.
#[must_use]
pub fn read_template(path: &Path, name: TemplateName, text: &[u8]) -> (Option<Template>, Vec<Finding>) {
    let document = match json::parse(text, DEPTH) {
        Ok(document) => document,
        Err(error) => {
            let why = format!("is no JSON: {}", error.why);
            return (None, vec![Finding::fatal(path, why).on(Position::of(text, error.at))]);
        }
    };
    let finding = |Remark { fatal, at, why }| Finding { fatal, ..Finding::remark(path, why).at(at) };
    let (template, remarks) = match Template::read(name, &document) {
        Ok((template, remarks)) => (Some(template), remarks),
        Err(remarks) => (None, remarks),
    };
    (template, remarks.into_iter().map(finding).collect())
}

/// The row of a template: its document without the white space of the file, and with its contract version (T-02, T-07).
#[must_use]
pub fn template_row(scid: &Scid, template: &Template) -> TemplateRow {
    TemplateRow {
        scid: scid.id(),
        name: template.name.as_str().to_owned(),
        contract_version: template.contract_version.try_into().expect("a valid template is of version 104 to 107"),
        document: template.published().to_string(),
    }
}

/// The name of the template in a file, from the file's name.
///
/// # Errors
/// A fatal finding, when it is no template name (T-05).
pub fn template_name(path: &Path) -> Result<TemplateName, Finding> {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    TemplateName::parse(stem)
        .map_err(|error| Finding::fatal(path, format!("the file's name is no template name: {error} (T-05)")))
}
