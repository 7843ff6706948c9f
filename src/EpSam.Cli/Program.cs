Console.WriteLine("epsam");
