namespace EmbeddingKernels;
