/*
 * The t-SNE comparison's way to oneDAL: a program around oneDAL's own tsne_gradient_descent_impl.i (Barnes-Hut, theta 0.5,
 * single precision), which is what scikit-learn-intelex runs, on affinities that are given.
 *
 *   onedal-tsne FOLDER THREADS EARLY STEPS EXAGGERATION LEARNING_RATE OUTPUT.npy
 *
 * FOLDER holds indptr.npy (int64), indices.npy (int64), data.npy (float32) and start.npy (float32, N x 2). The answer is one
 * line: milliseconds of an early and of a late step, wall and CPU seconds of all steps, the divergence as oneDAL has it.
 * To be compiled (C++17, -O3 -march=native, -DDAAL_REF -DTARGET_X86_64) in a checkout of oneDAL, cpp/daal and cpp/daal/include
 * on the include path, and linked with its data_management, services and threading sources and TBB; not built by the benchmark.
 */
#undef DAAL_CPU
#define DAAL_CPU avx2
#include "algorithms/tsne/tsne_gradient_descent.h"
#include "src/algorithms/tsne/tsne_gradient_descent_kernel.h"
#include "src/externals/service_memory.h"
#include "src/threading/threading.h"
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <sys/resource.h>
#include <tbb/global_control.h>
#include <vector>

// The kernel looks at its status twice before the first iteration and after each of an iteration's six parts: a clock without
// a change to its source.
static double now()
{
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

static double cpu()
{
    rusage use;
    getrusage(RUSAGE_SELF, &use);
    return use.ru_utime.tv_sec + use.ru_stime.tv_sec + 1e-6 * (use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

static std::vector<double> ticks;
static double cpuAtStart, cpuAtEnd;
static long expected;

static void tick()
{
    ticks.push_back(now());
    if (ticks.size() == 2) cpuAtStart = cpu();
    if ((long)ticks.size() == expected) cpuAtEnd = cpu();
}

#undef DAAL_CHECK_STATUS_VAR
#define DAAL_CHECK_STATUS_VAR(statVal)  \
    {                                   \
        tick();                         \
        if (!(statVal)) return statVal; \
    }
#include "src/algorithms/tsne/tsne_gradient_descent_impl.i"

template <typename T>
static std::vector<T> load(const std::string & path, const char * descr)
{
    FILE * f = fopen(path.c_str(), "rb");
    if (!f) { fprintf(stderr, "no %s\n", path.c_str()); exit(1); }
    unsigned char head[12];
    size_t got    = fread(head, 1, 10, f);
    size_t length = head[8] | head[9] << 8;
    if (head[6] > 1)
    {
        got += fread(head + 10, 1, 2, f);
        length |= (size_t)head[10] << 16 | (size_t)head[11] << 24;
    }
    std::string text(length, ' ');
    got += fread(&text[0], 1, length, f);
    if (text.find(descr) == std::string::npos) { fprintf(stderr, "%s is not %s: %s\n", path.c_str(), descr, text.c_str()); exit(1); }
    long start = ftell(f);
    fseek(f, 0, SEEK_END);
    std::vector<T> values((ftell(f) - start) / sizeof(T));
    fseek(f, start, SEEK_SET);
    got = fread(values.data(), sizeof(T), values.size(), f);
    fclose(f);
    if (got != values.size()) exit(1);
    return values;
}

int main(int count, char ** args)
{
    if (count != 8) { fprintf(stderr, "FOLDER THREADS EARLY ITERATIONS EXAGGERATION LEARNING_RATE OUTPUT\n"); return 1; }
    std::string folder = args[1];
    int threads = atoi(args[2]), early = atoi(args[3]), iterations = atoi(args[4]);
    float exaggeration = atof(args[5]), rate = atof(args[6]);
    std::vector<int64_t> indptr = load<int64_t>(folder + "/indptr.npy", "<i8"), indices = load<int64_t>(folder + "/indices.npy", "<i8");
    std::vector<float> data = load<float>(folder + "/data.npy", "<f4"), start = load<float>(folder + "/start.npy", "<f4");
    int n = (int)indptr.size() - 1, nnz = (int)data.size();
    expected = 2 + 6L * iterations;
    ticks.reserve(expected + 16);

    tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
    daal::threader_env()->setNumberOfThreads(threads);

    using namespace daal::data_management;
    std::vector<size_t> rows(indptr.begin(), indptr.end()), columns(indices.begin(), indices.end());
    for (size_t & r : rows) r++;
    for (size_t & c : columns) c++;
    std::vector<float> positions(2 * (size_t)n);
    daal::services::SharedPtr<SOANumericTable> init = SOANumericTable::create(2, n);
    for (int i = 0; i < n; i++)
    {
        positions[i]     = start[2 * (size_t)i];
        positions[n + i] = start[2 * (size_t)i + 1];
    }
    init->setArray(positions.data(), 0);
    init->setArray(positions.data() + n, 1);
    CSRNumericTablePtr p = CSRNumericTable::create(data.data(), columns.data(), rows.data(), (size_t)n, (size_t)n);

    // The parameters are read as columns: a table of one column each.
    int sizes[6]     = { n, nnz, 1 << 30, iterations, early, 50 };
    float factors[4] = { exaggeration, rate, 0.0f, 0.5f };
    float results[3] = {};
    NumericTablePtr sizeTable = HomogenNumericTable<int>::create(sizes, 1, 6), factorTable = HomogenNumericTable<float>::create(factors, 1, 4),
        resultTable = HomogenNumericTable<float>::create(results, 1, 3);
    daal::services::Status status =
        daal::algorithms::internal::tsneGradientDescentImpl<int, float, daal::internal::avx2>(init, p, sizeTable, factorTable, resultTable);
    if (!status) { fprintf(stderr, "failed: %s\n", status.getDescription()); return 1; }
    if ((long)ticks.size() < expected) { fprintf(stderr, "stopped early\n"); return 1; }

    double parts[6] = {};
    for (int i = early; i < iterations; i++)
        for (int part = 0; part < 6; part++) parts[part] += ticks[2 + 6L * i + part] - ticks[1 + 6L * i + part];
    fprintf(stderr, "late ms: box %.2f tree %.2f centres %.2f repulsion %.2f attraction %.2f step %.2f\n", 1e3 * parts[0] / (iterations - early),
            1e3 * parts[1] / (iterations - early), 1e3 * parts[2] / (iterations - early), 1e3 * parts[3] / (iterations - early),
            1e3 * parts[4] / (iterations - early), 1e3 * parts[5] / (iterations - early));
    double first = ticks[1], middle = ticks[1 + 6L * early], last = ticks[1 + 6L * iterations];
    printf("%.4f %.4f %.4f %.4f %.6f\n", 1e3 * (middle - first) / early, iterations > early ? 1e3 * (last - middle) / (iterations - early) : 0.0, last - first,
           cpuAtEnd - cpuAtStart, results[1]);

    FILE * f = fopen(args[7], "wb");
    char text[128];
    int used = snprintf(text, sizeof text, "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, 2), }", n);
    memset(text + used, ' ', 118 - used);
    text[117] = '\n';
    unsigned char head[10] = { 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, 118, 0 };
    fwrite(head, 1, 10, f);
    fwrite(text, 1, 118, f);
    for (int i = 0; i < n; i++)
    {
        fwrite(&positions[i], 4, 1, f);
        fwrite(&positions[n + i], 4, 1, f);
    }
    fclose(f);
    return 0;
}
