//! What error codes, HTTP statuses and kinds of errors have to do with each other.

use synckit_core::ErrorKind;

/// The code by which a hub names an error of this kind.
///
/// Kinds that say more about the hub's inside than a peer should know are all `INTERNAL_ERROR`.
#[must_use]
pub const fn code_of(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Invalid => "INVALID_REQUEST",
        ErrorKind::NotFound => "NOT_FOUND",
        ErrorKind::Closed | ErrorKind::Unavailable => "UNAVAILABLE",
        ErrorKind::Busy => "BUSY",
        ErrorKind::Timeout => "TIMEOUT",
        ErrorKind::Unauthorized => "AUTH_REQUIRED",
        ErrorKind::Forbidden => "FORBIDDEN",
        ErrorKind::TooLarge => "REQUEST_TOO_LARGE",
        ErrorKind::LogChanged => "LOG_CHANGED",
        ErrorKind::ContentMismatch => "CONFLICT",
        ErrorKind::Stale => "STALE",
        ErrorKind::Sealed => "SEALED",
        ErrorKind::Unsupported => "UNSUPPORTED",
        _ => "INTERNAL_ERROR",
    }
}

/// The HTTP status that goes with a code; 500 for one that this version does not know.
#[must_use]
pub fn status_of(code: &str) -> u16 {
    match code {
        "INVALID_CURSOR" | "INVALID_REQUEST" | "INVALID_TENANT" | "INVALID_IDEMPOTENCY_KEY" => 400,
        "AUTH_REQUIRED" => 401,
        "FORBIDDEN" => 403,
        "NOT_FOUND" => 404,
        "METHOD_NOT_ALLOWED" => 405,
        "CONFLICT" | "LOG_CHANGED" | "STALE" => 409,
        "SEALED" => 410,
        "REQUEST_TOO_LARGE" => 413,
        "UNSUPPORTED_MEDIA_TYPE" => 415,
        "TOO_MANY_REQUESTS" => 429,
        "UNSUPPORTED" => 501,
        "UNAVAILABLE" | "BUSY" | "TIMEOUT" => 503,
        _ => 500,
    }
}

/// The kind of error that an answer of this status with this code is, for the one who asked.
///
/// A known code counts more than the status. Of other answers, 5xx, 408 and 429 may pass by themselves, and a status that
/// no hub answers with is a mistake in the protocol.
#[must_use]
pub fn kind_of(status: u16, code: &str) -> ErrorKind {
    match code {
        "INVALID_CURSOR" | "INVALID_REQUEST" | "INVALID_TENANT" | "INVALID_IDEMPOTENCY_KEY" => {
            ErrorKind::Invalid
        }
        "AUTH_REQUIRED" => ErrorKind::Unauthorized,
        "FORBIDDEN" => ErrorKind::Forbidden,
        "NOT_FOUND" => ErrorKind::NotFound,
        "METHOD_NOT_ALLOWED" | "UNSUPPORTED_MEDIA_TYPE" | "UNSUPPORTED" => ErrorKind::Unsupported,
        "CONFLICT" => ErrorKind::ContentMismatch,
        "LOG_CHANGED" => ErrorKind::LogChanged,
        "STALE" => ErrorKind::Stale,
        "SEALED" => ErrorKind::Sealed,
        "REQUEST_TOO_LARGE" => ErrorKind::TooLarge,
        "UNAVAILABLE" | "TOO_MANY_REQUESTS" | "INTERNAL_ERROR" => ErrorKind::Unavailable,
        "BUSY" => ErrorKind::Busy,
        "TIMEOUT" => ErrorKind::Timeout,
        _ => match status {
            400 | 422 => ErrorKind::Invalid,
            401 => ErrorKind::Unauthorized,
            403 => ErrorKind::Forbidden,
            404 => ErrorKind::NotFound,
            405 | 415 => ErrorKind::Unsupported,
            408 => ErrorKind::Timeout,
            409 => ErrorKind::ContentMismatch,
            413 => ErrorKind::TooLarge,
            429 | 500..=599 => ErrorKind::Unavailable,
            _ => ErrorKind::Protocol,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{code_of, kind_of, status_of};
    use synckit_core::ErrorKind;

    #[test]
    fn kinds_survive_the_way_to_the_peer() {
        for kind in [
            ErrorKind::Invalid,
            ErrorKind::NotFound,
            ErrorKind::Busy,
            ErrorKind::Unavailable,
            ErrorKind::Timeout,
            ErrorKind::Unauthorized,
            ErrorKind::Forbidden,
            ErrorKind::TooLarge,
            ErrorKind::LogChanged,
            ErrorKind::ContentMismatch,
            ErrorKind::Stale,
            ErrorKind::Sealed,
            ErrorKind::Unsupported,
        ] {
            let code = code_of(kind);
            assert_eq!(kind_of(status_of(code), code), kind, "{code}");
        }
    }

    #[test]
    fn what_happened_inside_a_hub_is_unavailable_outside() {
        for kind in [ErrorKind::Storage, ErrorKind::Corrupt, ErrorKind::SchemaTooNew, ErrorKind::Internal] {
            let code = code_of(kind);
            assert_eq!((code, status_of(code)), ("INTERNAL_ERROR", 500));
            assert_eq!(kind_of(500, code), ErrorKind::Unavailable);
        }
    }

    #[test]
    fn statuses_without_a_code_have_a_kind() {
        let cases = [
            (400, ErrorKind::Invalid),
            (401, ErrorKind::Unauthorized),
            (404, ErrorKind::NotFound),
            (413, ErrorKind::TooLarge),
            (429, ErrorKind::Unavailable),
            (502, ErrorKind::Unavailable),
            (302, ErrorKind::Protocol),
            (201, ErrorKind::Protocol),
        ];
        for (status, kind) in cases {
            assert_eq!(kind_of(status, ""), kind, "{status}");
        }
    }
}
