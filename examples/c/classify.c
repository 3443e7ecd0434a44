/* A compiled network in onnxruntime's C API: frames from a file of float32 numbers, the answer to each on a line.
 *
 *     classify MODEL.onnx FRAMES.f32 [ROUNDS]
 *
 * The network has one float32 input, its batch fixed at 1, as `onnx2snn compile --batch 1` writes it, and any number of float32
 * outputs; the first is printed. With ROUNDS, standard error tells the fastest milliseconds of a frame and the peak of memory.
 */
#include <onnxruntime_c_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static const OrtApi *ort;

static void check(OrtStatus *status) {
    if (!status) return;
    fprintf(stderr, "onnxruntime: %s\n", ort->GetErrorMessage(status));
    ort->ReleaseStatus(status);
    exit(1);
}

static double milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return 1e3 * now.tv_sec + 1e-6 * now.tv_nsec;
}

int main(int count, char **words) {
    if (count < 3) return fprintf(stderr, "usage: %s MODEL.onnx FRAMES.f32 [ROUNDS]\n", words[0]), 2;
    long rounds = count > 3 ? strtol(words[3], NULL, 10) : 1;
    const OrtApiBase *base = OrtGetApiBase();
    ort = base->GetApi(ORT_API_VERSION);
    if (!ort) return fprintf(stderr, "this library (%s) is older than the headers\n", base->GetVersionString()), 1;

    OrtEnv *environment;
    OrtSessionOptions *options;
    OrtSession *session;
    OrtAllocator *allocator;
    OrtMemoryInfo *memory;
    check(ort->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "onnx2snn", &environment));
    check(ort->CreateSessionOptions(&options));
    check(ort->SetIntraOpNumThreads(options, 1));
    check(ort->CreateSession(environment, words[1], options, &session));
    check(ort->GetAllocatorWithDefaultOptions(&allocator));
    check(ort->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));

    char *input, *output;
    OrtTypeInfo *type;
    const OrtTensorTypeAndShapeInfo *info;
    size_t rank, size = 1, bytes;
    int64_t shape[16];
    check(ort->SessionGetInputName(session, 0, allocator, &input));
    check(ort->SessionGetOutputName(session, 0, allocator, &output));
    check(ort->SessionGetInputTypeInfo(session, 0, &type));
    check(ort->CastTypeInfoToTensorInfo(type, &info));
    check(ort->GetDimensionsCount(info, &rank));
    if (rank > 16) return fprintf(stderr, "an input of %zu axes\n", rank), 1;
    check(ort->GetDimensions(info, shape, rank));
    for (size_t axis = 0; axis < rank; axis++) {
        if (shape[axis] < 1) return fprintf(stderr, "axis %zu is open: compile with --batch 1\n", axis), 1;
        size *= (size_t)shape[axis];
    }
    bytes = size * sizeof(float);

    float *frame = malloc(bytes);
    FILE *frames = fopen(words[2], "rb");
    if (!frame || !frames) return perror(words[2]), 1;
    double fastest = 1e9;
    while (fread(frame, sizeof(float), size, frames) == size) {
        OrtValue *x, *y = NULL;
        check(ort->CreateTensorWithDataAsOrtValue(memory, frame, bytes, shape, rank, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &x));
        for (long round = 0; round < rounds; round++) {
            if (y) ort->ReleaseValue(y), y = NULL;
            double began = milliseconds();
            check(ort->Run(session, NULL, (const char *const *)&input, (const OrtValue *const *)&x, 1,
                           (const char *const *)&output, 1, &y));
            double took = milliseconds() - began;
            fastest = took < fastest ? took : fastest;
        }
        OrtTensorTypeAndShapeInfo *form;
        size_t numbers;
        float *answer;
        check(ort->GetTensorTypeAndShape(y, &form));
        check(ort->GetTensorShapeElementCount(form, &numbers));
        check(ort->GetTensorMutableData(y, (void **)&answer));
        for (size_t i = 0; i < numbers; i++) printf(i + 1 < numbers ? "%.9g " : "%.9g\n", answer[i]);
        ort->ReleaseTensorTypeAndShapeInfo(form);
        ort->ReleaseValue(y);
        ort->ReleaseValue(x);
    }
    if (count > 3) {
        struct rusage usage;
        getrusage(RUSAGE_SELF, &usage);
        fprintf(stderr, "onnxruntime %s: %.3f ms a frame, %ld kB\n", base->GetVersionString(), fastest, usage.ru_maxrss);
    }
    fclose(frames);
    free(frame);
    ort->ReleaseTypeInfo(type);
    ort->ReleaseMemoryInfo(memory);
    check(ort->AllocatorFree(allocator, input));
    check(ort->AllocatorFree(allocator, output));
    ort->ReleaseSession(session);
    ort->ReleaseSessionOptions(options);
    ort->ReleaseEnv(environment);
    return 0;
}
