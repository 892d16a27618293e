namespace EmbeddingKernels.Bench;

/// <summary>Python processes that stay: a script of functions, each a command.</summary>
internal static class PythonPeer
{
    private const string Head = """
        import sys, time, numpy

        state = {}

        def timed(calls, work):
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(int(calls)):
                work()
            return time.perf_counter() - wall, time.process_time() - cpu

        """;

    private const string Loop = """

        commands = {name: f for name, f in globals().items() if callable(f)}
        for line in sys.stdin:
            try:
                name, *rest = line.split()
                if rest and rest[-1] == "FILE":
                    rest[-1] = sys.stdin.readline().rstrip("\n")
                answer = commands[name](*rest)
                print("ok", *(answer or ()), flush=True)
            except Exception as error:
                print("error", repr(error).replace("\n", " "), flush=True)
        """;

    private const string Faiss = """
        import faiss
        print("FAISS", faiss.__version__, flush=True)

        """;

    private const string Numpy = """
        faiss = None
        print("numpy", numpy.__version__, flush=True)

        """;

    private const string Products = """
        import ctypes

        def threads(count):
            # FAISS and numpy take their products from OpenBLAS, which has threads of its own.
            try:
                ctypes.CDLL("libopenblas.so.0").openblas_set_num_threads(int(count))
            except (OSError, AttributeError):
                pass
            if faiss:
                faiss.omp_set_num_threads(int(count))

        def matrix(file, rows):
            values = numpy.memmap(file, dtype=numpy.float32, mode="r")
            return values.reshape(int(rows), -1)

        def data(rows, file):
            x = matrix(file, rows)
            state["index"] = None
            state["index"] = faiss.IndexFlat(x.shape[1], faiss.METRIC_L2)
            state["index"].add(x)

        def queries(rows, file):
            state["queries"] = numpy.array(matrix(file, rows))

        def search(metric, count, k, calls):
            q, index = state["queries"][:int(count)], state["index"]
            index.metric_type = faiss.METRIC_L2 if metric == "L2" else faiss.METRIC_INNER_PRODUCT
            def work():
                state["ids"] = index.search(q, int(k))[1]
            return timed(calls, work)

        def ids(file):
            state["ids"].astype(numpy.int64).tofile(file)

        def product(m, n, k, transpose_a, transpose_b, calls):
            shape = m, n, k, transpose_a, transpose_b
            if state.get("shape") != shape:
                m, n, k = int(m), int(n), int(k)
                a = numpy.random.rand(*((k, m) if transpose_a == "T" else (m, k))).astype(numpy.float32)
                b = numpy.random.rand(*((n, k) if transpose_b == "T" else (k, n))).astype(numpy.float32)
                state.update(shape=shape, a=a.T if transpose_a == "T" else a, b=b.T if transpose_b == "T" else b, c=numpy.empty((m, n), numpy.float32))
            return timed(calls, lambda: numpy.matmul(state["a"], state["b"], out=state["c"]))

        """;

    /// <summary>A process with the module "faiss" or "numpy", or null and why not.</summary>
    public static PeerProcess? TryStart(string module, out string why) =>
        TryStart(module, (module == "faiss" ? Faiss : Numpy) + Products, out why);

    /// <summary>A process with a module, or null and why not.</summary>
    /// <param name="module">What it must be able to import.</param>
    /// <param name="functions">Prints a name, then defines what can be called; <c>timed(calls, work)</c> gives wall and CPU seconds, <c>state</c> is a dictionary.</param>
    /// <param name="why">Why there is none.</param>
    public static PeerProcess? TryStart(string module, string functions, out string why) =>
        Python.Find(module, out why) is { } program ? PeerProcess.TryStart(program, ["-W", "ignore", "-c", Head + functions + Loop], out why) : null;
}
