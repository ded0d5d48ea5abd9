-- The first schema. SQLite is the truth: everything else in a data folder can be made again from
-- these tables and the media files that they name.
--
-- Row numbers of items are AUTOINCREMENT and never reused: an update is a new row, so the order of
-- rows is the order of writing. Times are microseconds since 1970 in UTC.

CREATE TABLE collections (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	name TEXT UNIQUE,               -- NULL: deleted, its items are being removed
	image_encoder TEXT NOT NULL,
	image_dim INTEGER NOT NULL,
	image_counts INTEGER NOT NULL,  -- the features are counts
	text_encoder TEXT NOT NULL,
	text_dim INTEGER NOT NULL,
	text_counts INTEGER NOT NULL,
	same_space INTEGER NOT NULL,    -- both encoders share one space
	split_validation REAL NOT NULL,
	split_test REAL NOT NULL,
	split_seed INTEGER NOT NULL,
	split_field TEXT NOT NULL,      -- '': hashed
	split_no_validation INTEGER NOT NULL,
	active_model INTEGER NOT NULL DEFAULT 0, -- 0: identity
	items INTEGER NOT NULL DEFAULT 0,
	images INTEGER NOT NULL DEFAULT 0,
	texts INTEGER NOT NULL DEFAULT 0,
	labelled INTEGER NOT NULL DEFAULT 0,
	triples INTEGER NOT NULL DEFAULT 0,
	featureless INTEGER NOT NULL DEFAULT 0,  -- items without any feature
	created_us INTEGER NOT NULL,
	updated_us INTEGER NOT NULL
) STRICT;

-- What a hit shows. Large blobs are kept out, so that the rows of a page of hits are few pages.
CREATE TABLE items (
	row INTEGER PRIMARY KEY AUTOINCREMENT,
	collection INTEGER NOT NULL,
	id TEXT NOT NULL,
	fingerprint BLOB NOT NULL,
	picture BLOB,                   -- SHA-256 of the original
	label TEXT,
	metadata TEXT,
	n_texts INTEGER NOT NULL,
	n_image_vectors INTEGER NOT NULL,
	n_text_vectors INTEGER NOT NULL,
	given INTEGER NOT NULL,         -- bit m: the client gave the vectors of modality m
	created_us INTEGER NOT NULL,
	updated_us INTEGER NOT NULL,
	UNIQUE (collection, id)
) STRICT;
CREATE INDEX items_by_collection ON items (collection);
CREATE INDEX items_by_picture ON items (picture) WHERE picture IS NOT NULL;

CREATE TABLE texts (
	row INTEGER NOT NULL,
	ordinal INTEGER NOT NULL,
	text TEXT NOT NULL,
	PRIMARY KEY (row, ordinal)
) STRICT, WITHOUT ROWID;

-- Features as little-endian float32: (image_dim) and (n_text_vectors, text_dim).
CREATE TABLE features (
	row INTEGER PRIMARY KEY,
	image BLOB,
	texts BLOB
) STRICT;

-- The paths that filters can name: "label", "has", "metadata.a.b".
CREATE TABLE fields (
	id INTEGER PRIMARY KEY,
	collection INTEGER NOT NULL,
	path TEXT NOT NULL,
	UNIQUE (collection, path)
) STRICT;

-- What items say in these fields, an entry a value: numbers and strings as they are, false and
-- true as the blobs 00 and 01, the empty blob for "is there" (objects, empty arrays). SQLite sorts
-- numbers < strings < blobs, so the values of one type are one range of this tree.
CREATE TABLE facts (
	field INTEGER NOT NULL,
	value ANY NOT NULL,
	row INTEGER NOT NULL,
	PRIMARY KEY (field, value, row)
) STRICT, WITHOUT ROWID;

CREATE TABLE media (
	sha256 BLOB PRIMARY KEY,
	type TEXT NOT NULL,
	width INTEGER NOT NULL,
	height INTEGER NOT NULL,
	bytes INTEGER NOT NULL,
	created_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE triples (
	n INTEGER PRIMARY KEY AUTOINCREMENT,
	collection INTEGER NOT NULL,
	reference TEXT NOT NULL,
	target TEXT NOT NULL,
	text TEXT NOT NULL,
	vector BLOB NOT NULL,
	UNIQUE (collection, reference, target, text)
) STRICT;
CREATE INDEX triples_by_target ON triples (collection, target);

CREATE TABLE models (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	collection INTEGER NOT NULL,
	method TEXT NOT NULL,
	params TEXT NOT NULL,
	report TEXT NOT NULL,
	dim INTEGER NOT NULL,
	seed INTEGER NOT NULL,
	created_us INTEGER NOT NULL
) STRICT;
CREATE INDEX models_by_collection ON models (collection);

-- Index files, folder generations/g_<id>. They cover the rows <= base_row of their collection.
CREATE TABLE generations (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	collection INTEGER NOT NULL,
	model INTEGER NOT NULL,
	base_row INTEGER NOT NULL,
	kind TEXT NOT NULL,
	items INTEGER NOT NULL,
	recall REAL,
	created_us INTEGER NOT NULL
) STRICT;
CREATE INDEX generations_by_model ON generations (collection, model);

-- The history that a rollback reads.
CREATE TABLE activations (
	n INTEGER PRIMARY KEY AUTOINCREMENT,
	collection INTEGER NOT NULL,
	model INTEGER NOT NULL,
	replaced INTEGER NOT NULL,
	created_us INTEGER NOT NULL
) STRICT;
CREATE INDEX activations_by_collection ON activations (collection);

CREATE TABLE jobs (
	n INTEGER PRIMARY KEY AUTOINCREMENT,
	kind TEXT NOT NULL,
	collection TEXT,
	state TEXT NOT NULL,
	request TEXT NOT NULL,
	progress TEXT NOT NULL,
	result TEXT,
	error TEXT,
	idempotency_key TEXT UNIQUE,
	attempts INTEGER NOT NULL,
	created_us INTEGER NOT NULL,
	started_us INTEGER NOT NULL,
	finished_us INTEGER NOT NULL
) STRICT;
CREATE INDEX jobs_by_state ON jobs (state);

CREATE TABLE settings (
	name TEXT PRIMARY KEY,
	value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
