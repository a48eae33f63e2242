//! Rows to the requests of a batch, and what came back of it to rows.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{DeleteRequest, PutRequest, WriteRequest};

use crate::sink::table::{Item, RowWrite, key::RowKey};

/// The request of one row.
pub(super) fn request(write: &RowWrite) -> WriteRequest {
    let (key, row) = write.clone().into_parts();
    let request = WriteRequest::builder();
    match row {
        Some(row) => {
            let put = PutRequest::builder().set_item(Some(row.into())).build();
            request.put_request(put.expect("the item is set")).build()
        }
        None => {
            let delete = DeleteRequest::builder().set_key(Some(key.into())).build();
            request.delete_request(delete.expect("the key is set")).build()
        }
    }
}

/// Which rows the unprocessed requests are, found by their keys.
///
/// If one is none of them, the answer cannot be understood, and all rows count as unprocessed: nothing is
/// dropped.
pub(super) fn indices(writes: &[RowWrite], left: Vec<WriteRequest>) -> Vec<usize> {
    let Some(first) = writes.first() else { return Vec::new() };
    let rows: HashMap<RowKey, usize> =
        writes.iter().enumerate().map(|(index, write)| (RowKey::of(write.key()), index)).collect();
    let find = |request: WriteRequest| {
        let item = match (request.put_request, request.delete_request) {
            (Some(put), _) => put.item,
            (None, Some(delete)) => delete.key,
            (None, None) => return None,
        };
        rows.get(&RowKey::select(&Item::from(item), first.key())).copied()
    };
    left.into_iter().map(find).collect::<Option<_>>().unwrap_or_else(|| (0..writes.len()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::table::{item, text};

    fn put(id: &str) -> RowWrite {
        RowWrite::put(item([("PK", text(id))]), item([("PK", text(id)), ("name", text("Rex"))]))
    }

    #[test]
    fn unprocessed_requests_are_found_by_key() {
        let writes = [put("a"), RowWrite::delete(item([("PK", text("b"))])), put("c")];
        let left = vec![request(&writes[2]), request(&writes[1])];
        assert_eq!(indices(&writes, left), [2, 1]);
        assert_eq!(indices(&writes, Vec::new()), [0_usize; 0]);
    }

    #[test]
    fn an_answer_that_makes_no_sense_leaves_everything_unprocessed() {
        let writes = [put("a"), put("b")];
        assert_eq!(indices(&writes, vec![request(&put("unknown"))]), [0, 1]);
        assert_eq!(indices(&writes, vec![WriteRequest::builder().build()]), [0, 1]);
    }
}
