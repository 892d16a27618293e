/*
 * The networks comparison's way to ncnn: a program that stays and reads commands, one a line, and answers each with one line.
 * To be compiled (C++17, -O3) with ncnn's headers and linked with ncnn and OpenMP; not built by the benchmark.
 *
 *   load PARAM BIN THREADS SIZE  loads a network whose input is called "data", three maps of SIZE x SIZE
 *   input FILE                   takes its numbers (raw floats)
 *   run BLOB CALLS IMAGES        computes BLOB; one image after another, as ncnn knows no batches: wall and CPU seconds
 *   output BLOB FILE             writes BLOB as raw floats, one row after another without ncnn's padding between maps
 *
 * Answers begin with "ok" or "error"; the first line is the version. Weights and maps are 32-bit floats throughout; all else
 * is as benchncnn has it.
 */
#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <sys/resource.h>

#include "benchmark.h"
#include "cpu.h"
#include "net.h"

static ncnn::UnlockedPoolAllocator blobs;
static ncnn::PoolAllocator workspace;
static std::unique_ptr<ncnn::Net> net;
static ncnn::Mat image;

static double cpu()
{
    rusage use;
    getrusage(RUSAGE_SELF, &use);
    return use.ru_utime.tv_sec + use.ru_stime.tv_sec + 1e-6 * (use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

static void check(bool right, const std::string &what)
{
    if (!right)
        throw std::runtime_error(what);
}

static ncnn::Mat extract(const std::string &blob)
{
    ncnn::Extractor extractor = net->create_extractor();
    extractor.input("data", image);
    ncnn::Mat out;
    check(extractor.extract(blob.c_str(), out) == 0, "no " + blob);
    return out;
}

static std::string answer(std::istringstream &line)
{
    std::string command, first, second;
    line >> command;
    if (command == "load")
    {
        int threads, size;
        line >> first >> second >> threads >> size;
        net.reset();
        blobs.clear();
        workspace.clear();
        ncnn::set_cpu_powersave(0);
        ncnn::set_omp_dynamic(0);
        ncnn::set_omp_num_threads(threads);
        net.reset(new ncnn::Net);
        net->opt.num_threads = threads;
        net->opt.lightmode = true;
        net->opt.blob_allocator = &blobs;
        net->opt.workspace_allocator = &workspace;
        net->opt.use_packing_layout = true;
        net->opt.use_fp16_packed = net->opt.use_fp16_storage = net->opt.use_fp16_arithmetic = false;
        net->opt.use_bf16_storage = false;
        check(net->load_param(first.c_str()) == 0, "param");
        check(net->load_model(second.c_str()) == 0, "bin");
        image.create(size, size, 3);
        image.fill(0.f);
        return "";
    }
    if (command == "input")
    {
        line >> first;
        std::unique_ptr<FILE, int (*)(FILE *)> file(fopen(first.c_str(), "rb"), fclose);
        check(file != nullptr, "no file " + first);
        for (int c = 0; c < image.c; c++)
            check(fread(image.channel(c), sizeof(float), (size_t)image.w * image.h, file.get()) == (size_t)image.w * image.h, "short file");
        return "";
    }
    if (command == "run")
    {
        int calls, images;
        line >> first >> calls >> images;
        double cpuAtStart = cpu();
        auto start = std::chrono::steady_clock::now();
        for (int i = 0; i < calls * images; i++)
            extract(first);
        double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        std::ostringstream text;
        text.precision(9);
        text << " " << wall << " " << cpu() - cpuAtStart;
        return text.str();
    }
    if (command == "output")
    {
        line >> first >> second;
        ncnn::Mat out = extract(first), plain;
        ncnn::convert_packing(out, plain, 1);
        std::unique_ptr<FILE, int (*)(FILE *)> file(fopen(second.c_str(), "wb"), fclose);
        check(file != nullptr, "no file " + second);
        for (int c = 0; c < plain.c; c++)
            check(fwrite(plain.channel(c), sizeof(float), (size_t)plain.w * plain.h, file.get()) == (size_t)plain.w * plain.h, "write");
        return "";
    }
    throw std::runtime_error("no command " + command);
}

int main()
{
    std::cout << "ncnn " << NCNN_VERSION_STRING << std::endl;
    std::string text;
    while (std::getline(std::cin, text))
    {
        std::istringstream line(text);
        try
        {
            std::cout << "ok" << answer(line) << std::endl;
        }
        catch (const std::exception &error)
        {
            std::cout << "error " << error.what() << std::endl;
        }
    }
}
