//! The `Authorization` header: `XBL3.0 x=<user hash>;<token>` or `Bearer <token>`.

use super::AuthError;

const XBL: &str = "XBL3.0";
const BEARER: &str = "Bearer";

/// The token inside a header. Schemes are compared without regard to case; the user hash may be anything, even empty.
pub fn token(authorization: Option<&str>) -> Result<&str, AuthError> {
    let header = authorization.map(str::trim).filter(|header| !header.is_empty()).ok_or(AuthError::Missing)?;
    let (scheme, rest) = header.split_once([' ', '\t']).unwrap_or((header, ""));
    let token = if scheme.eq_ignore_ascii_case(XBL) {
        of_xbl(rest.trim_start()).ok_or_else(|| AuthError::invalid("XBL3.0 is followed by x=<user hash>;<token>"))?
    } else if scheme.eq_ignore_ascii_case(BEARER) {
        rest.trim_start()
    } else {
        return Err(AuthError::invalid("the scheme is neither XBL3.0 nor Bearer"));
    };
    if token.is_empty() { Err(AuthError::invalid("there is no token behind the scheme")) } else { Ok(token) }
}

fn of_xbl(rest: &str) -> Option<&str> {
    let (parameter, token) = rest.split_once(';')?;
    let (name, _user_hash) = parameter.split_once('=')?;
    name.trim_end().eq_ignore_ascii_case("x").then(|| token.trim_start())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plain("XBL3.0 x=2533274790395904;a.b.c")]
    #[case::lower("xbl3.0 x=1;a.b.c")]
    #[case::any_hash("XBL3.0 x=*;a.b.c")]
    #[case::no_hash("XBL3.0 x=;a.b.c")]
    #[case::hash_with_equals("XBL3.0 x=ab==;a.b.c")]
    #[case::upper_parameter("XBL3.0 X=1;a.b.c")]
    #[case::spaces("  XBL3.0   x=1; a.b.c ")]
    #[case::bearer("Bearer a.b.c")]
    #[case::bearer_upper("BEARER\ta.b.c")]
    fn r01_both_syntaxes_carry_a_token(#[case] header: &str) {
        assert_eq!(token(Some(header)), Ok("a.b.c"));
    }

    #[rstest]
    #[case::absent(None)]
    #[case::empty(Some(""))]
    #[case::blank(Some("  "))]
    fn r01_no_header_is_missing(#[case] header: Option<&str>) {
        assert_eq!(token(header), Err(AuthError::Missing));
    }

    #[rstest]
    #[case("XBL3.0")]
    #[case("XBL3.0 a.b.c")]
    #[case("XBL3.0 x=1")]
    #[case("XBL3.0 x=1;")]
    #[case("XBL3.0 y=1;a.b.c")]
    #[case("XBL2.0 x=1;a.b.c")]
    #[case("Bearer")]
    #[case("Bearer ")]
    #[case("Basic dXNlcjpwYXNz")]
    #[case("a.b.c")]
    fn r01_anything_else_is_invalid(#[case] header: &str) {
        assert!(matches!(token(Some(header)), Err(AuthError::Invalid(_))));
    }
}
