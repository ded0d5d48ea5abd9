/*
 * Every route of the daemon, in the order of openapi.yaml. To add an endpoint: a handler in an
 * api_<resource>.c, its declaration in api.h, a row here, its operation in openapi.yaml.
 */
#include "server/api.h"
#include "server/query_request.h"

#define C "/v1/collections/{collection}"
#define MIB ((size_t)1 << 20)

static const char *const page[] = {"limit", "cursor", NULL};
static const char *const facets[] = {"limit", NULL};
static const char *const list_items[] = {"limit", "cursor", "filter", "vectors", NULL};
static const char *const list_jobs[] = {"limit", "cursor", "state", "collection", NULL};
static const char *const get_item[] = {"vectors", NULL};
static const char *const get_image[] = {"size", NULL};
static const char *const list_triples[] = {"limit", "cursor", "item", NULL};
static const char *const import[] = {"results", NULL};
static const char *const export[] = {"images", "filter", NULL};

const struct ist_route ist_routes[] = {
    {"GET", "/", "getPage", .handle = ist_api_get_page, .inline_ok = true},
    {"GET", "/docs", "getDocs", .handle = ist_api_get_docs, .inline_ok = true},
    {"GET", "/ui/{name}", "getUiFile", .handle = ist_api_get_ui_file, .inline_ok = true},
    {"GET", "/openapi.yaml", "getOpenapi", .handle = ist_api_get_openapi, .inline_ok = true},
    {"GET", "/healthz", "getHealth", .handle = ist_api_get_health, .inline_ok = true},
    {"GET", "/livez", "getLive", .handle = ist_api_get_live, .inline_ok = true},
    {"GET", "/readyz", "getReady", .handle = ist_api_get_ready, .inline_ok = true},
    {"GET", "/metrics", "getMetrics", .handle = ist_api_get_metrics},
    {"GET", "/v1/info", "getInfo", .handle = ist_api_get_info},
    {"GET", "/v1/demo", "getDemo", .handle = ist_api_get_demo},
    {"GET", "/v1/demo/items", "getDemoItems", .handle = ist_api_get_demo_items},

    {"GET", "/v1/encoders", "listEncoders", .handle = ist_api_list_encoders},
    {"PUT", "/v1/encoders/{encoder}", "putEncoder", IST_BODY_STREAM, .handle = ist_api_put_encoder},
    {"GET", "/v1/encoders/{encoder}", "getEncoder", .handle = ist_api_get_encoder},
    {"DELETE", "/v1/encoders/{encoder}", "deleteEncoder", .handle = ist_api_delete_encoder},

    {"GET", "/v1/collections", "listCollections", .query = page,
     .handle = ist_api_list_collections},
    {"PUT", C, "putCollection", IST_BODY_OPTIONAL_JSON, MIB, .handle = ist_api_put_collection},
    {"GET", C, "getCollection", .handle = ist_api_get_collection},
    {"PATCH", C, "patchCollection", IST_BODY_JSON, MIB, .handle = ist_api_patch_collection},
    {"DELETE", C, "deleteCollection", .handle = ist_api_delete_collection},
    {"GET", C "/facets", "getFacets", .query = facets, .handle = ist_api_get_facets},

    {"GET", C "/items", "listItems", .query = list_items, .handle = ist_api_list_items},
    {"PUT", C "/items/{id}", "putItem", IST_BODY_ITEM, .handle = ist_api_put_item},
    {"GET", C "/items/{id}", "getItem", .query = get_item, .handle = ist_api_get_item},
    {"PATCH", C "/items/{id}", "patchItem", IST_BODY_JSON, .handle = ist_api_patch_item},
    {"DELETE", C "/items/{id}", "deleteItem", .handle = ist_api_delete_item},
    {"GET", C "/items/{id}/image", "getImage", .query = get_image, .handle = ist_api_get_image},
    {"POST", C "/items:import", "importItems", IST_BODY_STREAM, .query = import,
     .handle = ist_api_import_items},
    {"GET", C "/items:export", "exportItems", .query = export, .handle = ist_api_export_items},
    {"POST", C "/items:delete", "deleteItems", IST_BODY_JSON, 8 * MIB,
     .handle = ist_api_delete_items},
    {"GET", C "/triples", "listTriples", .query = list_triples, .handle = ist_api_list_triples},
    {"POST", C "/triples:import", "importTriples", IST_BODY_STREAM, .query = import,
     .handle = ist_api_import_triples},

    {"POST", C "/query", "query", IST_BODY_ITEM, .handle = ist_api_query},
    {"GET", C "/query", "queryGet", .query = ist_query_url_names, .handle = ist_api_query_get},
    {"POST", C "/query:batch", "queryBatch", IST_BODY_JSON, .handle = ist_api_query_batch},
    {"POST", C "/embed", "embed", IST_BODY_JSON, .handle = ist_api_embed},

    {"GET", "/v1/methods", "listMethods", .handle = ist_api_list_methods},
    {"POST", C "/trainings", "createTraining", IST_BODY_JSON, MIB,
     .handle = ist_api_create_training},
    {"GET", "/v1/jobs", "listJobs", .query = list_jobs, .handle = ist_api_list_jobs},
    {"GET", "/v1/jobs/{job}", "getJob", .handle = ist_api_get_job},
    {"DELETE", "/v1/jobs/{job}", "cancelJob", .handle = ist_api_cancel_job},
    {"GET", "/v1/jobs/{job}/events", "jobEvents", .handle = ist_api_job_events},

    {"GET", C "/models", "listModels", .query = page, .handle = ist_api_list_models},
    {"POST", C "/models:rollback", "rollback", IST_BODY_OPTIONAL_JSON, MIB,
     .handle = ist_api_rollback},
    {"POST", C "/models:compare", "compareModels", IST_BODY_OPTIONAL_JSON, MIB,
     .handle = ist_api_compare_models},
    {"GET", C "/models/{model}", "getModel", .handle = ist_api_get_model},
    {"DELETE", C "/models/{model}", "deleteModel", .handle = ist_api_delete_model},
    {"POST", C "/models/{model}:activate", "activateModel", IST_BODY_OPTIONAL_JSON, MIB,
     .handle = ist_api_activate_model},
    {"POST", C "/models/{model}:rollback", "rollbackModel", IST_BODY_OPTIONAL_JSON, MIB,
     .handle = ist_api_rollback_model},
    {"POST", C "/models/{model}:evaluate", "evaluateModel", IST_BODY_OPTIONAL_JSON, 8 * MIB,
     .handle = ist_api_evaluate_model},
    {"POST", C "/models/{model}:caption", "captionModel", IST_BODY_JSON,
     .handle = ist_api_caption_model},
    {"POST", C "/models/{model}:render", "renderModel", IST_BODY_JSON,
     .handle = ist_api_render_model},
    {"POST", C "/models/{model}:reconstruct", "reconstructModel", IST_BODY_JSON,
     .handle = ist_api_reconstruct_model},
};
const size_t ist_n_routes = sizeof(ist_routes) / sizeof(ist_routes[0]);
