//! Splits one page of a scan or a query, as DynamoDB answers it, into its items.

use std::{fmt, mem, ops::Range, str};

use bytes::Bytes;

use super::{
    image::{Image, Part},
    members::Members,
    scan::skip_space,
    skip,
    span::Span,
};

/// One page of a scan or a query: its items found where they stand in the body, none of them decoded.
///
/// The body is that of DynamoDB's `Scan` and `Query`: `{"Items": [..], "Count": .., "ScannedCount": ..,
/// "LastEvaluatedKey": {..}, "ConsumedCapacity": {..}}`, its members in any order. Cloning copies the offsets and shares the
/// body; whoever holds an item keeps the whole body alive.
///
/// ```
/// use anabranch::record::wire::PageBody;
///
/// #[derive(serde::Deserialize)]
/// struct Pet<'a> {
///     name: &'a str,
/// }
///
/// let body = br#"{"Count":1,"ScannedCount":9,"Items":[{"PK":{"S":"USER#1"},"name":{"S":"Mia"}}]}"#;
/// let page = PageBody::split(body.as_slice().into())?;
/// let pets: Vec<Pet> = page.items().map(|item| item.decode()).collect::<Result<_, _>>()?;
/// assert_eq!(pets[0].name, "Mia");
/// assert_eq!((page.scanned(), page.last_key().is_none()), (9, true));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct PageBody {
    body: Bytes,
    items: Vec<Span>,
    /// Of a page without items the number of those that it stands for.
    count: Option<u64>,
    scanned: u64,
    last_key: Span,
    units: Option<f64>,
}

/// Why a page cannot be read. It is the whole page that fails: no item of it is handed out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PageError {
    /// The body is longer than 4 GiB, which no page is.
    #[error("the page has {bytes} bytes, more than the 4 GiB that can be read")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// The body is no JSON, or not the JSON of a page.
    #[error("the page is broken at byte {at}: expected {expected}")]
    Malformed {
        /// The offset of the byte where reading failed.
        at: usize,
        /// What should have stood there.
        expected: &'static str,
    },
    /// The page holds another number of items than it says.
    #[error("the page says that it has {count} items and has {found}")]
    Count {
        /// What `Count` says.
        count: u64,
        /// How many there are.
        found: usize,
    },
    /// A member of the page that is there twice: two pages may have run together.
    #[error("the page has `{member}` twice")]
    Twice {
        /// The member.
        member: &'static str,
    },
}

type Result<T> = std::result::Result<T, PageError>;

impl PageBody {
    /// Finds the items of a page. What is in them is looked at when they are decoded.
    ///
    /// # Errors
    /// A body that is no page, broken outside of its items' values, or whose `Count` does not count its items.
    pub fn split(body: Bytes) -> Result<Self> {
        let (page, count) = Self::read(body)?;
        match count {
            Some(count) if count != page.items.len() as u64 => Err(PageError::Count { count, found: page.items.len() }),
            _ => Ok(page),
        }
    }

    /// Reads a page of a request that asked for no items, but how many there are (`Select` is `COUNT`).
    ///
    /// # Errors
    /// A body that is no page, says nothing of a count, or has items.
    pub fn counted(body: Bytes) -> Result<Self> {
        let (page, count) = Self::read(body)?;
        match count {
            Some(_) if page.items.is_empty() => Ok(Self { count, ..page }),
            _ => Err(PageError::Count { count: count.unwrap_or_default(), found: page.items.len() }),
        }
    }

    fn read(body: Bytes) -> Result<(Self, Option<u64>)> {
        if u32::try_from(body.len()).is_err() {
            return Err(PageError::TooLarge { bytes: body.len() });
        }
        let mut page = Reader::new(&body);
        page.read()?;
        let Reader { items, count, scanned, last_key, units, .. } = page;
        let scanned = scanned.unwrap_or(items.len() as u64);
        Ok((Self { items, count: None, scanned, last_key, units, body }, count))
    }

    /// How many items it has: those that passed the filter.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// How many items it stands for: those that it has, or those that were [only counted](Self::counted).
    pub fn count(&self) -> u64 {
        self.count.unwrap_or(self.items.len() as u64)
    }

    /// Whether it has no items, which is not the end of a scan.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many items were read before the filter.
    pub fn scanned(&self) -> u64 {
        self.scanned
    }

    /// The items, in the order of the page.
    pub fn items(&self) -> impl ExactSizeIterator<Item = Image<'_>> {
        self.items.iter().enumerate().map(|(at, span)| self.image(*span, at))
    }

    /// The item at an index, from 0.
    pub fn item(&self, at: usize) -> Option<Image<'_>> {
        self.items.get(at).map(|span| self.image(*span, at))
    }

    /// Where the next page begins; nothing if this is the last.
    pub fn last_key(&self) -> Option<Image<'_>> {
        self.last_key.present().map(|span| Image::new(&self.body, span, 0, Part::LastKey))
    }

    /// The capacity units that the page took, if the request asked for them.
    pub fn units(&self) -> Option<f64> {
        self.units
    }

    /// The length of the body.
    pub fn bytes(&self) -> usize {
        self.body.len()
    }

    /// Forgets the items from an index on.
    pub fn truncate(&mut self, len: usize) {
        self.items.truncate(len);
    }

    fn image(&self, span: Span, at: usize) -> Image<'_> {
        // A page of less than 4 GiB has fewer items than that.
        Image::new(&self.body, span, at as u32, Part::Item)
    }
}

impl fmt::Debug for PageBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageBody")
            .field("items", &self.len())
            .field("scanned", &self.scanned)
            .field("last", &self.last_key.is_absent())
            .field("units", &self.units)
            .field("bytes", &self.bytes())
            .finish()
    }
}

struct Reader<'a> {
    body: &'a [u8],
    items: Vec<Span>,
    items_seen: bool,
    count: Option<u64>,
    scanned: Option<u64>,
    last_key: Span,
    units: Option<f64>,
}

impl<'a> Reader<'a> {
    fn new(body: &'a [u8]) -> Self {
        let (count, scanned, units) = (None, None, None);
        Self { body, items: Vec::new(), items_seen: false, count, scanned, last_key: Span::default(), units }
    }

    fn read(&mut self) -> Result<()> {
        let start = self.body.len() - skip_space(self.body).len();
        if self.body.get(start) != Some(&b'{') {
            return Err(malformed(start, "a JSON object"));
        }
        let mut members = Members::of(self.body, start);
        while let Some((name, at)) = members.next_key().map_err(|at| malformed(at, "a member of the page"))? {
            if name == "Items" && self.body[at..].starts_with(b"[") {
                let end = self.items(at)?;
                members = Members::after(self.body, end);
            } else {
                let value = members.skip_value().map_err(|at| malformed(at, "a JSON value"))?;
                self.member(&name, value)?;
            }
        }
        let rest = skip_space(&self.body[members.offset()..]);
        if rest.is_empty() { Ok(()) } else { Err(malformed(self.offset(rest), "the end of the page")) }
    }

    /// Finds the items of the array that begins at `at`; the offset behind it is handed back.
    fn items(&mut self, at: usize) -> Result<usize> {
        if mem::replace(&mut self.items_seen, true) {
            return Err(PageError::Twice { member: "Items" });
        }
        let mut rest = skip_space(&self.body[at + 1..]);
        if let [b']', after @ ..] = rest {
            return Ok(self.offset(after));
        }
        loop {
            let after = self.an_item(rest)?;
            rest = match after {
                [b',', next @ ..] => skip_space(next),
                [b']', after @ ..] => return Ok(self.offset(after)),
                _ => return Err(malformed(self.offset(after), "another item, or the end of `Items`")),
            };
        }
    }

    /// Finds the item that `rest` begins with; what follows it, without whitespace, is handed back.
    fn an_item(&mut self, rest: &'a [u8]) -> Result<&'a [u8]> {
        let start = self.offset(rest);
        let after = rest.strip_prefix(b"{").and_then(skip::item).ok_or_else(|| malformed(start, "an item"))?;
        self.items.push(Span::new(start, self.offset(after)));
        Ok(skip_space(after))
    }

    fn member(&mut self, name: &str, value: Range<usize>) -> Result<()> {
        if self.body[value.clone()] == *b"null" {
            return Ok(());
        }
        match name {
            "Items" => Err(malformed(value.start, "an array of items")),
            "Count" => self.number(value, "a count").and_then(|count| once("Count", &mut self.count, count)),
            "ScannedCount" => {
                self.number(value, "a count").and_then(|count| once("ScannedCount", &mut self.scanned, count))
            }
            "LastEvaluatedKey" => self.key(value),
            "ConsumedCapacity" => self.capacity(value.start),
            _ => Ok(()),
        }
    }

    /// A key without attributes would begin the scan anew.
    fn key(&mut self, value: Range<usize>) -> Result<()> {
        let empty = self.body[value.start..].strip_prefix(b"{").map(|inside| skip_space(inside).starts_with(b"}"));
        if empty != Some(false) {
            return Err(malformed(value.start, "a key"));
        }
        if !self.last_key.is_absent() {
            return Err(PageError::Twice { member: "LastEvaluatedKey" });
        }
        self.last_key = Span::new(value.start, value.end);
        Ok(())
    }

    fn capacity(&mut self, at: usize) -> Result<()> {
        if self.body[at] != b'{' {
            return Err(malformed(at, "an object of capacity"));
        }
        let mut members = Members::of(self.body, at);
        while let Ok(Some(member)) = members.next() {
            if member.name == "CapacityUnits" && self.body[member.value.clone()] != *b"null" {
                self.units = Some(self.number(member.value, "a number of units")?);
            }
        }
        Ok(())
    }

    fn number<T: str::FromStr>(&self, value: Range<usize>, expected: &'static str) -> Result<T> {
        let start = value.start;
        let text = str::from_utf8(&self.body[value]).ok();
        text.and_then(|text| text.parse().ok()).ok_or_else(|| malformed(start, expected))
    }

    fn offset(&self, rest: &[u8]) -> usize {
        self.body.len() - rest.len()
    }
}

fn once<T>(member: &'static str, slot: &mut Option<T>, value: T) -> Result<()> {
    match slot.replace(value) {
        Some(_) => Err(PageError::Twice { member }),
        None => Ok(()),
    }
}

#[cold]
fn malformed(at: usize, expected: &'static str) -> PageError {
    PageError::Malformed { at, expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(body: &str) -> Result<PageBody> {
        PageBody::split(Bytes::copy_from_slice(body.as_bytes()))
    }

    #[test]
    fn a_page_is_read_whatever_its_order_and_layout() {
        for body in [
            r#"{"Items":[{"a":{"S":"x"}},{"b":{"L":[]}}],"Count":2,"ScannedCount":7,"LastEvaluatedKey":{"a":{"S":"k"}},"ConsumedCapacity":{"TableName":"T","CapacityUnits":1.5}}"#,
            r#" { "ConsumedCapacity" : { "CapacityUnits" : 1.5 , "Table" : null } , "LastEvaluatedKey" : {"a":{"S":"k"}} ,
               "ScannedCount" : 7 , "Count" : 2 , "New" : [ 1 , {} ] , "Items" : [ {"a":{"S":"x"}} , { "b" : {"L":[]} } ] } "#,
        ] {
            let page = split(body).unwrap();
            assert_eq!((page.len(), page.scanned(), page.units(), page.bytes()), (2, 7, Some(1.5), body.len()));
            assert_eq!(page.item(0).unwrap().json(), br#"{"a":{"S":"x"}}"#);
            assert_eq!(page.last_key().unwrap().attribute("a").unwrap().as_deref(), Some("k"));
            assert_eq!(page.items().count(), 2);
            assert!(page.item(2).is_none());
        }
    }

    #[test]
    fn a_page_may_count_items_that_it_does_not_have() {
        let counted = |body: &str| PageBody::counted(Bytes::copy_from_slice(body.as_bytes()));
        let page = counted(r#"{"Count":3,"ScannedCount":9,"LastEvaluatedKey":{"a":{"S":"k"}}}"#).unwrap();
        assert_eq!((page.count(), page.len(), page.scanned(), page.last_key().is_some()), (3, 0, 9, true));
        assert_eq!(split(r#"{"Items":[{"a":{"S":"x"}}],"Count":1}"#).unwrap().count(), 1);
        assert_eq!(
            split(r#"{"Count":3}"#).unwrap_err(),
            PageError::Count { count: 3, found: 0 },
            "items were asked for"
        );
        for body in [r#"{"ScannedCount":9}"#, r#"{"Items":[{"a":{"S":"x"}}],"Count":1}"#] {
            assert!(matches!(counted(body), Err(PageError::Count { .. })), "{body}");
        }
    }

    #[test]
    fn an_empty_page_is_a_page() {
        for body in [r#"{"Items":[],"Count":0,"ScannedCount":5}"#, r#"{"Items":null}"#, "{}", r#"{"Items":[ ]}"#] {
            let page = split(body).unwrap();
            assert!(page.is_empty() && page.last_key().is_none(), "{body}");
        }
    }

    #[test]
    fn a_damaged_page_is_refused_as_a_whole() {
        let page = r#"{"Items":[{"a":{"S":"x"}},{"b":{"S":"y"}}],"Count":2,"LastEvaluatedKey":{"a":{"S":"k"}}}"#;
        for cut in 0..page.len() {
            assert!(matches!(split(&page[..cut]), Err(PageError::Malformed { .. })), "{}", &page[..cut]);
        }
        for body in [
            "[]",
            r#"{"Items":{}}"#,
            r#"{"Items":[1]}"#,
            r#"{"Items":[{"a":{"S":"x"}} {"b":{"S":"x"}}]}"#,
            r#"{"Count":"1"}"#,
            r#"{"Count":-1}"#,
            r#"{"LastEvaluatedKey":{}}"#,
            r#"{"LastEvaluatedKey":"k"}"#,
            r#"{"ConsumedCapacity":7}"#,
            r#"{"ConsumedCapacity":{"CapacityUnits":"x"}}"#,
            "{} {}",
        ] {
            assert!(matches!(split(body), Err(PageError::Malformed { .. })), "{body}");
        }
    }

    #[test]
    fn a_page_that_contradicts_itself_is_refused() {
        let error = |body| split(body).unwrap_err();
        assert_eq!(error(r#"{"Items":[{"a":{"S":"x"}}],"Count":2}"#), PageError::Count { count: 2, found: 1 });
        assert_eq!(error(r#"{"Count":3}"#), PageError::Count { count: 3, found: 0 });
        assert_eq!(error(r#"{"Items":[],"Items":[]}"#), PageError::Twice { member: "Items" });
        assert_eq!(error(r#"{"Count":0,"Count":0}"#), PageError::Twice { member: "Count" });
        let key = r#""LastEvaluatedKey":{"a":{"S":"k"}}"#;
        assert_eq!(error(&format!("{{{key},{key}}}")), PageError::Twice { member: "LastEvaluatedKey" });
    }

    #[test]
    fn an_item_that_does_not_decode_fails_alone_with_its_path() {
        let page = split(r#"{"Items":[{"n":{"N":"1"}},{"n":{"S":"x"}},{"n":{"N":"3"}}]}"#).unwrap();
        #[derive(Debug, serde::Deserialize)]
        struct One {
            n: u8,
        }
        let items: Vec<_> = page.items().map(|item| item.decode::<One>()).collect();
        assert_eq!(items[0].as_ref().unwrap().n + items[2].as_ref().unwrap().n, 4);
        assert_eq!(items[1].as_ref().unwrap_err().path(), "Items[1].n.S");
    }
}
