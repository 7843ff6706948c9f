using EpSam.Imaging;
using EpSam.Native.Models.Sam;
using EpSam.Native.Runtime;
using EpSam.VirtualGpu;
using EpSam.VirtualGpu.Checks;

// The virtual GPU. A real one: using Gpu gpu = new(CuNative.OpenDriver(), CuNative.LoadBlas());
VirtualGpu card = VirtualGpu.Create(new VirtualGpuOptions { Checks = CheckFlags.None });
using Gpu gpu = new(card.Driver, card.Blas);
using SamModel model = SamModel.Load(gpu, args[0], options: new SamOptions { MemoryBudget = Sizes.Parse("2GiB") });

Raster photo = ImageReader.ReadRgb(args[1]); // or RGB bytes from anywhere
SamPredictor predictor = new(model);
predictor.SetImage(photo.Pixels, photo.Height, photo.Width);

SamPoint middle = new(photo.Width / 2, photo.Height / 2), corner = new(0, 0, PointLabel.Background);
SamPrediction guess = predictor.Predict(new SamPrompt { Points = [middle] }); // three masks, from part to whole
SamPrompt clearer = new() { Points = [middle, corner], Mask = guess.LowResLogits[guess.Best] };
SamPrediction answer = predictor.Predict(clearer, multimask: false);
byte[] mask = answer.Masks[0]; // 0 and 1, photo.Height rows of photo.Width
Console.WriteLine($"{mask.Count(pixel => pixel == 1)} pixels, predicted IoU {answer.Scores[0]:F2}");
