/* The handlers of all routes, one api_<resource>.c a resource; routes.c gives each its path. */
#ifndef IST_SERVER_API_H
#define IST_SERVER_API_H

#include "server/http.h"

#define IST_HANDLER(name)                                                                          \
	enum ist_code name(struct ist_request *rq, struct ist_reply *re, struct ist_err *err)

/* api_info.c, api_health.c, api_pages.c */
IST_HANDLER(ist_api_get_info);
IST_HANDLER(ist_api_get_health);
IST_HANDLER(ist_api_get_live);
IST_HANDLER(ist_api_get_ready);
IST_HANDLER(ist_api_get_metrics);
IST_HANDLER(ist_api_get_openapi);
IST_HANDLER(ist_api_get_docs);
IST_HANDLER(ist_api_get_page);
IST_HANDLER(ist_api_get_ui_file);
/* api_demo.c */
IST_HANDLER(ist_api_get_demo);
IST_HANDLER(ist_api_get_demo_items);
/* api_collections.c */
IST_HANDLER(ist_api_list_collections);
IST_HANDLER(ist_api_put_collection);
IST_HANDLER(ist_api_get_collection);
IST_HANDLER(ist_api_patch_collection);
IST_HANDLER(ist_api_delete_collection);
IST_HANDLER(ist_api_get_facets);
/* api_encoders.c */
IST_HANDLER(ist_api_list_encoders);
IST_HANDLER(ist_api_put_encoder);
IST_HANDLER(ist_api_get_encoder);
IST_HANDLER(ist_api_delete_encoder);
/* api_items.c, api_image.c, api_import.c, api_export.c */
IST_HANDLER(ist_api_list_items);
IST_HANDLER(ist_api_put_item);
IST_HANDLER(ist_api_get_item);
IST_HANDLER(ist_api_patch_item);
IST_HANDLER(ist_api_delete_item);
IST_HANDLER(ist_api_delete_items);
IST_HANDLER(ist_api_get_image);
IST_HANDLER(ist_api_import_items);
IST_HANDLER(ist_api_export_items);
/* api_query.c, api_embed.c */
IST_HANDLER(ist_api_query);
IST_HANDLER(ist_api_query_get);
IST_HANDLER(ist_api_query_batch);
IST_HANDLER(ist_api_embed);
/* api_methods.c */
IST_HANDLER(ist_api_list_methods);
/* api_trainings.c */
IST_HANDLER(ist_api_create_training);
/* api_jobs.c, events.c */
IST_HANDLER(ist_api_list_jobs);
IST_HANDLER(ist_api_get_job);
IST_HANDLER(ist_api_cancel_job);
IST_HANDLER(ist_api_job_events);
/* api_models.c */
IST_HANDLER(ist_api_list_models);
IST_HANDLER(ist_api_get_model);
IST_HANDLER(ist_api_delete_model);
IST_HANDLER(ist_api_activate_model);
IST_HANDLER(ist_api_rollback_model);
IST_HANDLER(ist_api_rollback);
IST_HANDLER(ist_api_compare_models);
IST_HANDLER(ist_api_evaluate_model);
IST_HANDLER(ist_api_caption_model);
IST_HANDLER(ist_api_render_model);
IST_HANDLER(ist_api_reconstruct_model);
/* api_triples.c */
IST_HANDLER(ist_api_import_triples);
IST_HANDLER(ist_api_list_triples);

#endif
