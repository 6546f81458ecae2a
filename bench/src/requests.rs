//! Requests as bytes, and the files of them that wrk plays.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// Stands in a request for a name that is used once.
pub const FRESH: char = '\u{1}';
/// Stands in a request for the entity tag that its session had last.
pub const TAG: char = '\u{2}';

/// Stands in a request for a number of eight digits that is another one each time.
pub const NUMBER: char = '\u{3}';
/// How many more bytes it is than what stands for it.
const NUMBER_IS_LONGER: usize = 7;

/// One request, ready to be sent over a kept connection.
pub fn request(verb: &str, path: &str, authorization: &str, extra: &str, body: &str) -> String {
    let mut text = format!(
        "{verb} {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: {authorization}\r\nX-Xbl-Contract-Version: 107\r\n{extra}"
    );
    if !body.is_empty() {
        let length = body.len() + NUMBER_IS_LONGER * body.matches(NUMBER).count();
        write!(text, "Content-Type: application/json\r\nContent-Length: {length}\r\n").expect("a string takes it");
    }
    text + "\r\n" + body
}

/// A session's path.
pub fn session(name: &str) -> String {
    format!("/serviceconfigs/{}/sessiontemplates/{}/sessions/{name}", crate::dataset::SCID, crate::dataset::TEMPLATE)
}

/// An answer, if it is none of refusal.
///
/// # Errors
/// What the service says against it.
pub async fn accepted(answer: reqwest::Response) -> anyhow::Result<reqwest::Response> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    bail!("{} answers {status}: {}", answer.url().path().to_owned(), answer.text().await.unwrap_or_default())
}

/// Writes requests, and entity tags by path, as `replay.lua` reads them.
///
/// # Errors
/// When the file cannot be written.
pub fn write(folder: &Path, name: &str, requests: &[String], tags: &[(String, String)]) -> anyhow::Result<PathBuf> {
    let path = folder.join(format!("{name}.requests"));
    let mut text = String::new();
    for request in requests {
        write!(text, "{}\n{request}", request.len()).expect("a string takes it");
    }
    text.push_str("0\n");
    for (session, tag) in tags {
        writeln!(text, "{session} {tag}").expect("a string takes it");
    }
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// The requests of a file that [`write`] has written.
///
/// # Errors
/// When it cannot be read, or is something else.
pub fn read(path: &Path) -> anyhow::Result<Vec<Vec<u8>>> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let (mut requests, mut rest) = (Vec::new(), bytes.as_slice());
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n').context("a file of requests has no end")?;
        let length: usize = std::str::from_utf8(&rest[..end])?.parse()?;
        if length == 0 {
            return Ok(requests);
        }
        let (request, behind) = rest[end + 1..].split_at_checked(length).context("a file of requests breaks off")?;
        requests.push(request.to_vec());
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_as_they_were_written() {
        let requests =
            [request("GET", "/one", "Bearer t", "", ""), request("PUT", "/two", "Bearer t", "If-Match: \"1\"\r\n", "{\n}")];
        let folder = std::env::temp_dir();
        let name = format!("openmpsd-bench-requests-{}", std::process::id());
        let path = write(&folder, &name, &requests, &[("/two".to_owned(), "\"1\"".to_owned())]).unwrap();
        let read = read(&path);
        let text = fs::read_to_string(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(read.unwrap(), requests.map(String::into_bytes));
        assert!(text.ends_with("\r\n\r\n{\n}0\n/two \"1\"\n") && text.contains("Content-Length: 3\r\n"), "{text}");
    }
}
