/*
 * Every statement that the store runs: X(name, SQL). Parameters are bound by position; what each
 * takes stands in the call. Columns that readers take by number are named in their functions.
 */
#ifndef IST_INDEX_STATEMENTS_H
#define IST_INDEX_STATEMENTS_H

/* clang-format off */
#define IST_STATEMENTS(X)                                                                          \
	/* Transactions. */                                                                        \
	X(BEGIN, "BEGIN IMMEDIATE")                                                                \
	X(READ_BEGIN, "BEGIN")                                                                     \
	X(COMMIT, "COMMIT")                                                                        \
	X(SAVEPOINT, "SAVEPOINT op")                                                               \
	X(RELEASE, "RELEASE op")                                                                   \
	X(ROLLBACK_TO, "ROLLBACK TO op")                                                           \
	/* Collections. */                                                                         \
	X(COLLECTION_ADD,                                                                          \
	  "INSERT INTO collections (name, image_encoder, image_dim, image_counts, text_encoder,"   \
	  " text_dim, text_counts, same_space, split_validation, split_test, split_seed,"          \
	  " split_no_validation, split_field, created_us, updated_us, geometry)"                   \
	  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)")       \
	X(COLLECTION_GET,                                                                          \
	  "SELECT id, name, image_encoder, image_dim, image_counts, text_encoder, text_dim,"       \
	  " text_counts, same_space, geometry FROM collections WHERE name = ?1")                   \
	X(COLLECTION_INFO,                                                                         \
	  "SELECT split_validation, split_test, split_seed, split_field, split_no_validation,"     \
	  " active_model, items, images, texts, labelled, triples, featureless, created_us,"       \
	  " updated_us FROM collections WHERE id = ?1 AND name IS NOT NULL")                       \
	X(COLLECTION_NAMES,                                                                        \
	  "SELECT name FROM collections WHERE name > ?1 ORDER BY name LIMIT ?2")                   \
	X(COLLECTION_SPLIT,                                                                        \
	  "UPDATE collections SET split_validation = ?2, split_test = ?3, split_seed = ?4,"        \
	  " split_no_validation = ?5, split_field = ?6, updated_us = ?7 WHERE name = ?1")          \
	X(COLLECTION_COUNT,                                                                        \
	  "UPDATE collections SET items = items + ?2, images = images + ?3, texts = texts + ?4,"   \
	  " labelled = labelled + ?5, triples = triples + ?6, featureless = featureless + ?7,"     \
	  " updated_us = ?8 WHERE id = ?1")                                                        \
	X(COLLECTION_MODEL, "SELECT active_model FROM collections WHERE id = ?1")                  \
	X(COLLECTION_ITEMS, "SELECT items FROM collections WHERE id = ?1")                         \
	X(COLLECTION_CREATED, "SELECT created_us FROM collections WHERE id = ?1")                  \
	X(COLLECTION_ACTIVATE,                                                                     \
	  "UPDATE collections SET active_model = ?2, updated_us = ?3 WHERE id = ?1")               \
	X(COLLECTION_DROP, "UPDATE collections SET name = NULL WHERE id = ?1")                     \
	/* Deleted collections, removed bit by bit. */                                             \
	X(DROPPED_NEXT, "SELECT id FROM collections WHERE name IS NULL LIMIT 1")                   \
	X(DROPPED_FIELDS, "DELETE FROM fields WHERE collection = ?1")                              \
	X(DROPPED_TRIPLES, "DELETE FROM triples WHERE collection = ?1")                            \
	X(DROPPED_MODELS, "DELETE FROM models WHERE collection = ?1")                              \
	X(DROPPED_GENERATIONS, "DELETE FROM generations WHERE collection = ?1")                    \
	X(DROPPED_ACTIVATIONS, "DELETE FROM activations WHERE collection = ?1")                    \
	X(DROPPED_COLLECTION, "DELETE FROM collections WHERE id = ?1")                             \
	/* Items. */                                                                               \
	X(ITEM_PRESENT,                                                                            \
	  "SELECT row, fingerprint, created_us FROM items WHERE collection = ?1 AND id = ?2")      \
	X(ITEM_ROW, "SELECT row FROM items WHERE collection = ?1 AND id = ?2")                     \
	X(ITEM_ID, "SELECT id FROM items WHERE row = ?1")                                          \
	X(ITEM_GET,                                                                                \
	  "SELECT i.row, i.id, i.picture, i.label, i.metadata, i.n_texts, i.n_image_vectors,"      \
	  " i.n_text_vectors, i.given, i.created_us, i.updated_us, m.type, m.width, m.height,"     \
	  " m.bytes FROM items i LEFT JOIN media m ON m.sha256 = i.picture WHERE i.row = ?1")      \
	X(ITEM_ADD,                                                                                \
	  "INSERT INTO items (collection, id, fingerprint, picture, label, metadata, n_texts,"     \
	  " n_image_vectors, n_text_vectors, given, created_us, updated_us)"                       \
	  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")                           \
	X(ITEM_REMOVE, "DELETE FROM items WHERE row = ?1")                                         \
	X(ITEMS_AFTER,                                                                             \
	  "SELECT row FROM items WHERE collection = ?1 AND id > ?2 ORDER BY id")                   \
	X(ITEM_LABELS,                                                                             \
	  "SELECT id, label, metadata FROM items WHERE row = ?1")                                  \
	X(ROWS_ALL, "SELECT row FROM items INDEXED BY items_by_collection WHERE collection = ?1"   \
	  " ORDER BY row")                                                                         \
	X(ROWS_UPTO, "SELECT row FROM items INDEXED BY items_by_collection WHERE collection = ?1"  \
	  " AND row <= ?2 ORDER BY row")                                                           \
	X(ROWS_LAST, "SELECT max(row) FROM items WHERE collection = ?1")                           \
	X(ROWS_FIRST, "SELECT row FROM items WHERE collection = ?1 ORDER BY row LIMIT 500")        \
	X(TEXT_ADD, "INSERT INTO texts VALUES (?1, ?2, ?3)")                                       \
	X(TEXTS_GET, "SELECT text FROM texts WHERE row = ?1 ORDER BY ordinal")                     \
	X(TEXTS_REMOVE, "DELETE FROM texts WHERE row = ?1")                                        \
	X(FEATURES_ADD, "INSERT INTO features VALUES (?1, ?2, ?3)")                                \
	X(FEATURES_GET, "SELECT image, texts FROM features WHERE row = ?1")                        \
	X(FEATURES_AFTER,                                                                          \
	  "SELECT i.row, f.image, f.texts FROM items i INDEXED BY items_by_collection"             \
	  " CROSS JOIN features f ON f.row = i.row"                                                \
	  " WHERE i.collection = ?1 AND i.row > ?2 AND i.row <= ?3 ORDER BY i.row")                \
	X(FEATURES_REMOVE, "DELETE FROM features WHERE row = ?1")                                  \
	/* Facts and what filters read. */                                                         \
	X(FIELD_ID, "SELECT id FROM fields WHERE collection = ?1 AND path = ?2")                   \
	X(FIELD_ADD, "INSERT INTO fields (collection, path) VALUES (?1, ?2)")                      \
	X(FACT_ADD, "INSERT OR IGNORE INTO facts (field, row, value) VALUES (?1, ?2, ?3)")         \
	X(FACT_REMOVE, "DELETE FROM facts WHERE field = ?1 AND value = ?3 AND row = ?2")           \
	X(FIELDS_OF,                                                                               \
	  "SELECT id, path FROM fields WHERE collection = ?1 ORDER BY path LIMIT ?2")              \
	X(FACET_ITEMS,                                                                             \
	  "SELECT COUNT(DISTINCT row) FROM facts WHERE field = ?1")                                \
	X(FACET_VALUES,                                                                            \
	  "SELECT value, COUNT(*) FROM facts WHERE field = ?1 AND value != x''"                    \
	  " GROUP BY value ORDER BY 2 DESC, 1 LIMIT ?2")                                           \
	X(FACET_LEAST,                                                                             \
	  "SELECT value FROM facts WHERE field = ?1 AND value < '' ORDER BY value LIMIT 1")        \
	X(FACET_MOST,                                                                              \
	  "SELECT value FROM facts WHERE field = ?1 AND value < ''"                                \
	  " ORDER BY value DESC LIMIT 1")                                                          \
	X(FACTS_ALL, "SELECT row FROM facts WHERE field = ?1")                                     \
	X(FACTS_EQ, "SELECT row FROM facts WHERE field = ?1 AND value = ?2")                       \
	X(FACTS_GE_LT, "SELECT row FROM facts WHERE field = ?1 AND value >= ?2 AND value < ?3")    \
	X(FACTS_GT_LT, "SELECT row FROM facts WHERE field = ?1 AND value > ?2 AND value < ?3")     \
	X(FACTS_GE_LE, "SELECT row FROM facts WHERE field = ?1 AND value >= ?2 AND value <= ?3")   \
	X(IDS_ALL, "SELECT row FROM items WHERE collection = ?1")                                  \
	X(IDS_EQ, "SELECT row FROM items WHERE collection = ?1 AND id = ?2")                       \
	X(IDS_GE_LT, "SELECT row FROM items WHERE collection = ?1 AND id >= ?2 AND id < ?3")       \
	X(IDS_GT_LT, "SELECT row FROM items WHERE collection = ?1 AND id > ?2 AND id < ?3")        \
	X(IDS_GE_LE, "SELECT row FROM items WHERE collection = ?1 AND id >= ?2 AND id <= ?3")      \
	/* Media. */                                                                               \
	X(MEDIA_EXISTS, "SELECT 1 FROM media WHERE sha256 = ?1")                                   \
	X(MEDIA_GET, "SELECT type, width, height, bytes FROM media WHERE sha256 = ?1")             \
	X(MEDIA_ADD, "INSERT INTO media VALUES (?1, ?2, ?3, ?4, ?5, ?6)")                          \
	X(MEDIA_REMOVE, "DELETE FROM media WHERE sha256 = ?1")                                     \
	X(MEDIA_BYTES, "SELECT sum(bytes) FROM media")                                             \
	X(PICTURE_IS_USED, "SELECT 1 FROM items WHERE picture = ?1 LIMIT 1")                       \
	/* Triples. */                                                                             \
	X(TRIPLE_ADD,                                                                              \
	  "INSERT OR IGNORE INTO triples (collection, reference, target, text, vector)"            \
	  " VALUES (?1, ?2, ?3, ?4, ?5)")                                                          \
	X(TRIPLES_AFTER,                                                                           \
	  "SELECT n, reference, target, vector FROM triples WHERE collection = ?1 AND n > ?2"      \
	  " ORDER BY n LIMIT ?3")                                                                  \
	X(TRIPLES_LIST,                                                                            \
	  "SELECT n, reference, target, text FROM triples WHERE collection = ?1 AND n > ?2"        \
	  " ORDER BY n LIMIT ?3")                                                                  \
	X(TRIPLES_OF_ITEM,                                                                         \
	  "SELECT n, reference, target, text FROM triples"                                         \
	  " WHERE collection = ?1 AND n > ?2 AND reference = ?4"                                   \
	  " UNION SELECT n, reference, target, text FROM triples"                                  \
	  " WHERE collection = ?1 AND n > ?2 AND target = ?4 ORDER BY n LIMIT ?3")                 \
	X(TRIPLES_REMOVE,                                                                          \
	  "DELETE FROM triples WHERE collection = ?1 AND (reference = ?2 OR target = ?2)")         \
	/* Models, their generations and activations. */                                           \
	X(MODEL_ADD,                                                                               \
	  "INSERT INTO models (id, collection, method, params, report, dim, seed, created_us)"     \
	  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")                                              \
	X(MODEL_EXISTS, "SELECT 1 FROM models WHERE collection = ?1 AND id = ?2")                  \
	X(MODEL_IS_KNOWN, "SELECT 1 FROM models WHERE id = ?1")                                    \
	X(MODEL_GET,                                                                               \
	  "SELECT id, method, params, report, dim, seed, created_us FROM models"                   \
	  " WHERE collection = ?1 AND id = ?2")                                                    \
	X(MODELS_LIST,                                                                             \
	  "SELECT id, method, params, report, dim, seed, created_us FROM models"                   \
	  " WHERE collection = ?1 AND id > ?2 ORDER BY id LIMIT ?3")                               \
	X(MODEL_SET_REPORT, "UPDATE models SET report = ?3 WHERE collection = ?1 AND id = ?2")     \
	X(MODEL_REMOVE, "DELETE FROM models WHERE collection = ?1 AND id = ?2")                    \
	X(LAST_NUMBER, "SELECT seq FROM sqlite_sequence WHERE name = ?1")                          \
	X(GENERATION_ADD,                                                                          \
	  "INSERT INTO generations (id, collection, model, base_row, kind, items, recall,"         \
	  " created_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")                                  \
	X(GENERATION_NEWEST,                                                                       \
	  "SELECT max(id) FROM generations WHERE collection = ?1 AND model = ?2")                  \
	X(GENERATION_IS_KNOWN, "SELECT 1 FROM generations WHERE id = ?1")                          \
	X(GENERATION_INFO,                                                                         \
	  "SELECT kind, items, recall FROM generations WHERE collection = ?1 AND model ="          \
	  " (SELECT active_model FROM collections WHERE id = ?1) ORDER BY id DESC LIMIT 1")        \
	X(GENERATIONS_REMOVE, "DELETE FROM generations WHERE collection = ?1 AND model = ?2")      \
	X(GENERATIONS_KEEP,                                                                        \
	  "DELETE FROM generations WHERE collection = ?1 AND model <> ?2 AND model <> ?3")         \
	X(ACTIVATION_ADD,                                                                          \
	  "INSERT INTO activations (collection, model, replaced, created_us)"                      \
	  " VALUES (?1, ?2, ?3, ?4)")                                                              \
	X(ACTIVATION_LATEST,                                                                       \
	  "SELECT replaced FROM activations WHERE collection = ?1 ORDER BY n DESC LIMIT 1")        \
	/* Jobs. */                                                                                \
	X(JOB_ADD,                                                                                 \
	  "INSERT INTO jobs (kind, collection, state, request, progress, result, error,"           \
	  " idempotency_key, attempts, created_us, started_us, finished_us)"                       \
	  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")                           \
	X(JOB_UPDATE,                                                                              \
	  "UPDATE jobs SET state = ?3, progress = ifnull(?4, progress), result = ?5, error = ?6,"  \
	  " attempts = ?7, started_us = ?8, finished_us = ?9"                                      \
	  " WHERE n = ?1 AND (?2 IS NULL OR state = ?2)")                                          \
	X(JOB_EXISTS, "SELECT 1 FROM jobs WHERE n = ?1")                                           \
	X(JOB_GET,                                                                                 \
	  "SELECT n, kind, collection, state, request, progress, result, error,"                   \
	  " idempotency_key, attempts, created_us, started_us, finished_us FROM jobs WHERE n = ?1")\
	X(JOB_BY_KEY, "SELECT n FROM jobs WHERE idempotency_key = ?1")                             \
	X(JOBS_LIST,                                                                               \
	  "SELECT n, kind, collection, state, request, progress, result, error,"                   \
	  " idempotency_key, attempts, created_us, started_us, finished_us FROM jobs"              \
	  " WHERE n < ?1 AND (?2 IS NULL OR state = ?2) AND (?3 IS NULL OR collection = ?3)"       \
	  " ORDER BY n DESC LIMIT ?4")
/* clang-format on */

#endif
