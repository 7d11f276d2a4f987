"""Classifiers on frozen features."""

from fewshot.registry import Registry

heads = Registry("head", "fewshot.heads", "fewshot.heads.base:Head")
heads.add(
    "ncm",
    "fewshot.heads.transformed_ncm:nearest_class_mean",
    "nearest class mean (prototypes), Euclidean or cosine",
)
heads.add(
    "simpleshot",
    "fewshot.heads.simpleshot:SimpleShot",
    "nearest class mean, centred on base classes and of unit length (CL2N)",
)
heads.add("ridge", "fewshot.heads.ridge:Ridge", "ridge regression on class indicators")
heads.add("knn", "fewshot.heads.knn:KNN", "votes of the k nearest shots")
heads.add("matching", "fewshot.heads.matching:Matching", "matching networks, cosine attention")
heads.add(
    "qda",
    "fewshot.heads.qda:QDA",
    "quadratic discriminant analysis, covariances pooled and shrunk",
)
heads.add(
    "incremental_lda",
    "fewshot.heads.incremental_lda:IncrementalLDA",
    "linear discriminant analysis, covariance of base classes and shots",
)
heads.add(
    "lda",
    "fewshot.heads.lda:LDA",
    "linear discriminant analysis, Ledoit-Wolf shrinkage; nearest class mean at one shot",
)
heads.add(
    "soft_kmeans",
    "fewshot.heads.soft_kmeans:SoftKMeans",
    "class means refined on the queries; transductive",
)
heads.add(
    "bd_cspn",
    "fewshot.heads.bd_cspn:BDCSPN",
    "prototypes rectified by the queries; transductive, balanced",
)
heads.add(
    "laplacian_shot",
    "fewshot.heads.laplacian_shot:LaplacianShot",
    "rectified prototypes, neighbouring queries agree; transductive, balanced",
)
heads.add(
    "pt_map",
    "fewshot.heads.pt_map:PTMAP",
    "power transform, optimal transport of queries; transductive, balanced",
)
heads.add(
    "lp_plus_plus",
    "fewshot.heads.lp_plus_plus:LPPlusPlus",
    "LP++: linear probe plus learned multiples of text vectors; text",
)
heads.add(
    "clip_adapter",
    "fewshot.heads.clip_adapter:CLIPAdapter",
    "CLIP-Adapter: bottleneck network on image features, trained on the shots; text",
)
heads.add(
    "taskres",
    "fewshot.heads.taskres:TaskRes",
    "TaskRes: text vectors plus a residual trained on the shots",
)
heads.add(
    "logistic",
    "fewshot.heads.logistic:LogisticRegression",
    "multinomial logistic regression, L2 penalty: the linear probe",
)
heads.add("svm", "fewshot.heads.svm:SVM", "linear support vector machine, one against the rest")
heads.add("zero_shot", "fewshot.heads.zero_shot:ZeroShot", "class names alone; text")
heads.add(
    "text_gaussian",
    "fewshot.heads.text_gaussian:TextGaussian",
    "Gaussians predicted from class names and mixed with the shots; text and base classes",
)
heads.add(
    "gda",
    "fewshot.heads.gda:GDA",
    "Gaussian discriminant analysis, added to zero-shot logits; text",
)
heads.add(
    "tip_adapter",
    "fewshot.heads.tip_adapter:TipAdapter",
    "Tip-Adapter: zero-shot logits plus a cache of the shots; text",
)
heads.add(
    "tip_adapter_f",
    "fewshot.heads.tip_adapter_f:TipAdapterF",
    "Tip-Adapter-F: Tip-Adapter with a cache trained on the shots; text",
)
heads.add(
    "tim",
    "fewshot.heads.tim:TIM",
    "TIM-GD: prototypes that tell most about the queries; transductive, balanced",
)
heads.add(
    "alpha_tim",
    "fewshot.heads.alpha_tim:AlphaTIM",
    "alpha-TIM: TIM with alpha-entropies, for any class shares; transductive",
)
heads.add(
    "paddle",
    "fewshot.heads.paddle:PADDLE",
    "PADDLE: clustering of queries that pays for every class; transductive",
)
heads.add(
    "em_dirichlet",
    "fewshot.heads.em_dirichlet:EMDirichlet",
    "EM-Dirichlet: mixture of zero-shot probabilities; transductive, text",
)

__all__ = ["heads"]
