"""Recomputes a replica's digests from its SQLite file: synckit export --effective --store URL | digest_check.py FILE"""
import hashlib, json, sqlite3, sys

sha = lambda b: hashlib.sha256(b).digest()
field = lambda b: len(b).to_bytes(4, "big") + b
entries, view, chain, last = {}, {}, bytes(32), 0
log = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
log.text_factory = bytes
withdrawn = set(log.execute("SELECT id, aggregate_id, origin, counter, timestamp, parents, content FROM withdrawn"))
for (position, name, kind, aggregate, codec, data, metadata, origin, counter, timestamp, parents, content, link, stub,
     superseded) in log.execute("SELECT position, id, event_type, aggregate_id, codec, data, metadata, origin, counter,"
                                " timestamp, parents, content, hash, stub, superseded FROM entries ORDER BY position"):
    fields = (kind, aggregate, codec or b"json", data, metadata or b"{}")
    assert stub or content == sha(b"".join(map(field, fields))), f"the content at {position} is not what its hash says"
    named, rest = 0, parents
    while rest:
        named, rest = named + 1, rest[4 + int.from_bytes(rest[:4], "big"):]
    numbers = b"".join(n.to_bytes(8, "big") for n in (counter, timestamp, named))
    entry = field(name) + origin + numbers + parents + content
    chain, last = sha(chain + entry), last + 1
    assert (position, link) == (last, chain), f"the chain breaks at {position}"
    if not superseded and (name, aggregate, origin, counter, timestamp, parents, content) not in withdrawn:
        entries[name], view[name] = entry, content
ids = sorted(entries)
counting = sorted(json.loads(line)["id"].encode() for line in sys.stdin)
print(json.dumps({
    "events": len(ids),
    "ids": sha(b"".join(i + b"\n" for i in ids)).hex(),
    "log": sha(b"".join(entries[i] for i in ids)).hex(),
    "view": sha(b"".join(i + b"\n" + view[i] for i in counting)).hex(),
}))
