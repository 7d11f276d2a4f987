"""Classifiers on frozen features."""

from typing import TYPE_CHECKING

from fewshot.lazy import lazy
from fewshot.registry import Registry

if TYPE_CHECKING:
    from fewshot.heads.alpha_tim import AlphaTIM as AlphaTIM
    from fewshot.heads.ape import APE as APE
    from fewshot.heads.base import Context as Context
    from fewshot.heads.base import Head as Head
    from fewshot.heads.base import LinearHead as LinearHead
    from fewshot.heads.base import Query as Query
    from fewshot.heads.base import Support as Support
    from fewshot.heads.bd_cspn import BDCSPN as BDCSPN
    from fewshot.heads.bpa import BPA as BPA
    from fewshot.heads.clap import CLAP as CLAP
    from fewshot.heads.clap import ZSLP as ZSLP
    from fewshot.heads.clip_adapter import CLIPAdapter as CLIPAdapter
    from fewshot.heads.cross_modal import CrossModal as CrossModal
    from fewshot.heads.em_dirichlet import EMDirichlet as EMDirichlet
    from fewshot.heads.gda import GDA as GDA
    from fewshot.heads.incremental_lda import IncrementalLDA as IncrementalLDA
    from fewshot.heads.knn import KNN as KNN
    from fewshot.heads.label_propagation import LabelPropagation as LabelPropagation
    from fewshot.heads.laplacian_shot import LaplacianShot as LaplacianShot
    from fewshot.heads.lda import LDA as LDA
    from fewshot.heads.logistic import LogisticRegression as LogisticRegression
    from fewshot.heads.lp_plus_plus import LPPlusPlus as LPPlusPlus
    from fewshot.heads.matching import Matching as Matching
    from fewshot.heads.ncm import NCM as NCM
    from fewshot.heads.otter import Otter as Otter
    from fewshot.heads.paddle import PADDLE as PADDLE
    from fewshot.heads.proker import ProKeR as ProKeR
    from fewshot.heads.proto_lp import ProtoLP as ProtoLP
    from fewshot.heads.pt_map import PTMAP as PTMAP
    from fewshot.heads.qda import QDA as QDA
    from fewshot.heads.ridge import Ridge as Ridge
    from fewshot.heads.simpleshot import SimpleShot as SimpleShot
    from fewshot.heads.soft_kmeans import SoftKMeans as SoftKMeans
    from fewshot.heads.ss_text import SSText as SSText
    from fewshot.heads.stata import StatA as StatA
    from fewshot.heads.svm import SVM as SVM
    from fewshot.heads.taskres import TaskRes as TaskRes
    from fewshot.heads.text_gaussian import TextGaussian as TextGaussian
    from fewshot.heads.tim import TIM as TIM
    from fewshot.heads.timo import TIMO as TIMO
    from fewshot.heads.tip_adapter import TipAdapter as TipAdapter
    from fewshot.heads.tip_adapter_f import TipAdapterF as TipAdapterF
    from fewshot.heads.transclip import TransCLIP as TransCLIP
    from fewshot.heads.transformed_ncm import TransformedNCM as TransformedNCM
    from fewshot.heads.verifier import Verifier as Verifier
    from fewshot.heads.zero_shot import ZeroShot as ZeroShot

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
    "proto_lp",
    "fewshot.heads.proto_lp:ProtoLP",
    "protoLP: prototypes refined by label propagation; transductive, balanced",
)
heads.add(
    "label_propagation",
    "fewshot.heads.label_propagation:LabelPropagation",
    "labels spread over a graph of shots and queries; transductive",
)
heads.add(
    "bpa",
    "fewshot.heads.bpa:BPA",
    "BPA: any head on the balanced affinities of an episode's images; transductive",
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
    "zs_lp",
    "fewshot.heads.clap:ZSLP",
    "ZS-LP: linear probe that starts from the text vectors; text",
)
heads.add(
    "clap",
    "fewshot.heads.clap:CLAP",
    "CLAP: ZS-LP that pays for leaving the text, class by class; text",
)
heads.add(
    "cross_modal",
    "fewshot.heads.cross_modal:CrossModal",
    "cross-modal adaptation: text vectors as further shots, of any head; text",
)
heads.add(
    "logistic",
    "fewshot.heads.logistic:LogisticRegression",
    "multinomial logistic regression, L2 penalty: the linear probe",
)
heads.add("svm", "fewshot.heads.svm:SVM", "linear support vector machine, one against the rest")
heads.add("zero_shot", "fewshot.heads.zero_shot:ZeroShot", "class names alone; text")
heads.add(
    "otter",
    "fewshot.heads.otter:Otter",
    "zero-shot with class shares put right, by the shots or by optimal transport (OTTER); text",
)
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
    "timo",
    "fewshot.heads.timo:TIMO",
    "TIMO: discriminant analysis of shots and class texts, added to zero-shot logits; text",
)
heads.add(
    "tip_adapter",
    "fewshot.heads.tip_adapter:TipAdapter",
    "Tip-Adapter: zero-shot logits plus a cache of the shots; text",
)
heads.add(
    "ape",
    "fewshot.heads.ape:APE",
    "APE: a cache of the shots on the channels that tell classes apart; text",
)
heads.add(
    "tip_adapter_f",
    "fewshot.heads.tip_adapter_f:TipAdapterF",
    "Tip-Adapter-F: Tip-Adapter with a cache trained on the shots; text",
)
heads.add(
    "ss_text",
    "fewshot.heads.ss_text:SSText",
    "SS-Text: text vectors plus weighted class means, in closed form; text",
)
heads.add(
    "proker",
    "fewshot.heads.proker:ProKeR",
    "ProKeR: zero-shot scores plus kernel ridge regression of their errors; text",
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
heads.add(
    "transclip",
    "fewshot.heads.transclip:TransCLIP",
    "TransCLIP: mixture of Gaussians near text and neighbours; transductive, text",
)
heads.add(
    "stata",
    "fewshot.heads.stata:StatA",
    "StatA: class Gaussians that stay near their text, few classes in use; transductive, text",
)

# Classes by the module that has them.
_HOMES = {
    "APE": "ape",
    "AlphaTIM": "alpha_tim",
    "BDCSPN": "bd_cspn",
    "BPA": "bpa",
    "CLAP": "clap",
    "CLIPAdapter": "clip_adapter",
    "Context": "base",
    "CrossModal": "cross_modal",
    "EMDirichlet": "em_dirichlet",
    "GDA": "gda",
    "Head": "base",
    "IncrementalLDA": "incremental_lda",
    "KNN": "knn",
    "LDA": "lda",
    "LPPlusPlus": "lp_plus_plus",
    "LabelPropagation": "label_propagation",
    "LaplacianShot": "laplacian_shot",
    "LinearHead": "base",
    "LogisticRegression": "logistic",
    "Matching": "matching",
    "NCM": "ncm",
    "Otter": "otter",
    "PADDLE": "paddle",
    "PTMAP": "pt_map",
    "ProtoLP": "proto_lp",
    "QDA": "qda",
    "ProKeR": "proker",
    "Query": "base",
    "Ridge": "ridge",
    "SSText": "ss_text",
    "SVM": "svm",
    "SimpleShot": "simpleshot",
    "SoftKMeans": "soft_kmeans",
    "StatA": "stata",
    "Support": "base",
    "TIM": "tim",
    "TIMO": "timo",
    "TaskRes": "taskres",
    "TextGaussian": "text_gaussian",
    "TipAdapter": "tip_adapter",
    "TipAdapterF": "tip_adapter_f",
    "TransCLIP": "transclip",
    "TransformedNCM": "transformed_ncm",
    "Verifier": "verifier",
    "ZSLP": "clap",
    "ZeroShot": "zero_shot",
}
__all__ = ["heads", *_HOMES]  # noqa: PLE0604  strings, all of them
__getattr__, __dir__ = lazy(__name__, _HOMES)
