/*
 * The glue. FaissIndex is the C API's name for faiss::Index; every function here casts it back,
 * does one thing and turns exceptions into errors. Nothing else in the product is C++.
 */
#include "index/faiss_glue.h"

#include <algorithm>
#include <memory>
#include <new>
#include <vector>

#include <omp.h>

#include <faiss/IndexFlat.h>
#include <faiss/IndexHNSW.h>
#include <faiss/impl/IDSelector.h>

extern "C" {
#include <faiss/c_api/error_c.h>
}

namespace
{

const faiss::Index *as_index(const FaissIndex *index)
{
	return reinterpret_cast<const faiss::Index *>(index);
}

/* Null where it is another kind. */
const faiss::IndexHNSWFlat *as_hnsw(const FaissIndex *index)
{
	return dynamic_cast<const faiss::IndexHNSWFlat *>(as_index(index));
}

/* Where the vectors are: an HNSW index keeps them in a flat one. */
const faiss::IndexFlat *storage_of(const FaissIndex *index)
{
	const faiss::IndexHNSWFlat *hnsw = as_hnsw(index);

	return dynamic_cast<const faiss::IndexFlat *>(hnsw != nullptr ? hnsw->storage
								      : as_index(index));
}

/* Runs f; what it throws becomes an error. */
template <typename F> enum ist_code guarded(struct ist_err *err, const char *what, F f)
{
	try {
		f();
		return IST_OK;
	} catch (const std::bad_alloc &) {
		return ist_fail(err, IST_NO_MEMORY, "%s: out of memory", what);
	} catch (const std::exception &e) {
		return ist_fail(err, IST_INTERNAL, "%s: %s", what, e.what());
	} catch (...) {
		return ist_fail(err, IST_INTERNAL, "%s: unknown exception", what);
	}
}

/* The class decides the four letters that FAISS writes, so it is chosen as FAISS would. */
std::unique_ptr<faiss::IndexFlat> copy_flat(const faiss::IndexFlat &from, size_t n)
{
	auto copy = from.metric_type == faiss::METRIC_L2
			? std::unique_ptr<faiss::IndexFlat>(new faiss::IndexFlatL2(from.d))
			: std::unique_ptr<faiss::IndexFlat>(new faiss::IndexFlatIP(from.d));

	copy->codes.reserve(n * from.code_size);
	copy->codes = from.codes;
	copy->ntotal = from.ntotal;
	return copy;
}

/* A bitset in FAISS's terms. */
struct WordsSelector : faiss::IDSelector {
	const uint64_t *words;

	explicit WordsSelector(const uint64_t *w) : words(w)
	{
	}

	bool is_member(idx_t id) const override
	{
		return __atomic_load_n(&words[id >> 6], __ATOMIC_RELAXED) >> (id & 63) & 1;
	}
};

/* Where each level's links begin: rising from 0, one more than there are levels to draw. */
bool level_table_is_sound(const faiss::HNSW &graph)
{
	const std::vector<int> &at = graph.cum_nneighbor_per_level;

	return at.size() >= 2 && at[0] == 0 && at.size() == graph.assign_probas.size() + 1 &&
	       at.back() < (1 << 20) && std::is_sorted(at.begin(), at.end());
}

/* Each vector has as many places for links as its levels ask for; every link leads somewhere. */
bool links_are_sound(const faiss::HNSW &graph, size_t n)
{
	size_t n_levels = graph.cum_nneighbor_per_level.size();

	for (size_t i = 0; i < n; i++) {
		int levels = graph.levels[i];

		if (levels < 1 || (size_t)levels >= n_levels)
			return false;
		if (graph.offsets[i + 1] - graph.offsets[i] !=
		    (size_t)graph.cum_nneighbor_per_level[levels])
			return false;
	}
	return std::all_of(graph.neighbors.begin(), graph.neighbors.end(),
			   [n](int link) { return link >= -1 && link < (int64_t)n; });
}

/* A link on a level leads to a vector that reaches that level: else its list would be another's. */
bool levels_are_sound(const faiss::HNSW &graph, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (int level = 1; level < graph.levels[i]; level++) {
			size_t begin, end;

			graph.neighbor_range((int64_t)i, level, &begin, &end);
			for (size_t j = begin; j < end && graph.neighbors[j] >= 0; j++)
				if (graph.levels[graph.neighbors[j]] <= level)
					return false;
		}
	}
	return true;
}

} // namespace

enum ist_code ist_faiss_fail(struct ist_err *err, const char *what)
{
	const char *text = faiss_get_last_error();

	return ist_fail(err, IST_INTERNAL, "%s: %s", what, text != nullptr ? text : "FAISS failed");
}

enum ist_code ist_faiss_hnsw_new(int dim, int n_links, int ef_construction, FaissMetricType metric,
				 FaissIndex **ret, struct ist_err *err)
{
	return guarded(err, "create hnsw", [&] {
		auto *index = new faiss::IndexHNSWFlat(dim, n_links, (faiss::MetricType)metric);

		index->hnsw.efConstruction = ef_construction;
		*ret = reinterpret_cast<FaissIndex *>(index);
	});
}

/* The copy constructor shares the storage with the original, which then is replaced. */
enum ist_code ist_faiss_clone(const FaissIndex *index, size_t n, FaissIndex **ret,
			      struct ist_err *err)
{
	return guarded(err, "clone", [&] {
		std::unique_ptr<faiss::IndexFlat> storage = copy_flat(*storage_of(index), n);
		const faiss::IndexHNSWFlat *hnsw = as_hnsw(index);

		if (hnsw == nullptr) {
			*ret = reinterpret_cast<FaissIndex *>(storage.release());
			return;
		}
		auto *copy = new faiss::IndexHNSWFlat(*hnsw);

		copy->storage = storage.release();
		copy->own_fields = true;
		*ret = reinterpret_cast<FaissIndex *>(copy);
	});
}

enum ist_code ist_faiss_reserve(FaissIndex *index, size_t n, struct ist_err *err)
{
	return guarded(err, "reserve", [&] {
		auto *storage = const_cast<faiss::IndexFlat *>(storage_of(index));
		auto *hnsw = const_cast<faiss::IndexHNSWFlat *>(as_hnsw(index));

		storage->codes.reserve(n * storage->code_size);
		if (hnsw == nullptr)
			return;
		/* Some 1 / (M - 1) of the links are those of the upper levels. */
		size_t links = (size_t)hnsw->hnsw.nb_neighbors(0);

		hnsw->hnsw.levels.reserve(n);
		hnsw->hnsw.offsets.reserve(n + 1);
		hnsw->hnsw.neighbors.reserve(n * links + n * links / 16);
	});
}

const float *ist_faiss_data(const FaissIndex *index)
{
	const faiss::IndexFlat *storage = storage_of(index);

	return storage != nullptr && storage->ntotal > 0 ? storage->get_xb() : nullptr;
}

bool ist_faiss_is_flat(const FaissIndex *index)
{
	return dynamic_cast<const faiss::IndexFlat *>(as_index(index)) != nullptr;
}

bool ist_faiss_is_hnsw(const FaissIndex *index)
{
	return as_hnsw(index) != nullptr;
}

void ist_faiss_graph_of(const FaissIndex *index, struct ist_faiss_graph *ret)
{
	const faiss::HNSW &graph = as_hnsw(index)->hnsw;

	ret->offsets = graph.offsets.data();
	ret->links = graph.neighbors.data();
	ret->level_at = graph.cum_nneighbor_per_level.data();
	ret->entry = graph.entry_point;
	ret->top = graph.max_level;
}

/* All that the walk in vectors_hnsw.c relies on. */
bool ist_faiss_graph_is_sound(const FaissIndex *index)
{
	const faiss::IndexHNSWFlat *hnsw = as_hnsw(index);
	const faiss::HNSW &graph = hnsw->hnsw;
	size_t n = (size_t)hnsw->ntotal;

	if (!level_table_is_sound(graph) || graph.levels.size() != n ||
	    graph.offsets.size() != n + 1 || graph.offsets[0] != 0 ||
	    graph.offsets[n] != graph.neighbors.size())
		return false;
	if (n == 0)
		return graph.entry_point == -1;
	if (!links_are_sound(graph, n) || !levels_are_sound(graph, n))
		return false;
	return graph.entry_point >= 0 && (size_t)graph.entry_point < n &&
	       graph.max_level == graph.levels[graph.entry_point] - 1;
}

size_t ist_faiss_bytes(const FaissIndex *index)
{
	const faiss::IndexHNSWFlat *hnsw = as_hnsw(index);
	size_t bytes = storage_of(index)->codes.capacity();

	if (hnsw != nullptr)
		bytes += hnsw->hnsw.neighbors.capacity() * sizeof(int32_t) +
			 hnsw->hnsw.offsets.capacity() * sizeof(size_t) +
			 hnsw->hnsw.levels.capacity() * sizeof(int);
	return bytes;
}

enum ist_code ist_faiss_hnsw_search(const FaissIndex *index, const float *query, size_t k,
				    size_t ef, const uint64_t *words, float *distances,
				    int64_t *labels, struct ist_err *err)
{
	return guarded(err, "hnsw search", [&] {
		WordsSelector selector(words);
		faiss::SearchParametersHNSW parameters;
		/* 1.7.3 sizes its queue by k and by the index's own efSearch, not by the
		 * parameters: a broader search has to ask for more. */
		size_t wide = std::max(k, ef);
		std::vector<float> d(wide);
		std::vector<faiss::Index::idx_t> l(wide);

		parameters.efSearch = (int)wide;
		parameters.sel = words != nullptr ? &selector : nullptr;
		as_index(index)->search(1, query, (int64_t)wide, d.data(), l.data(), &parameters);
		std::copy_n(d.begin(), k, distances);
		std::copy_n(l.begin(), k, labels);
	});
}
